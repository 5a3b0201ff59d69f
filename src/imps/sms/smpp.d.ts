/** The part of the smpp package that Parley uses; the package brings no types. */
declare module 'smpp' {
  import type { EventEmitter } from 'node:events';
  import type { Server as NetServer, Socket } from 'node:net';

  namespace smpp {
    interface Pdu {
      readonly command: string;
      readonly command_status: number;
      readonly sequence_number: number;
      readonly system_id?: string;
      readonly password?: string;
      readonly message_id?: string;
      readonly source_addr?: string;
      readonly source_addr_ton?: number;
      readonly destination_addr?: string;
      readonly dest_addr_ton?: number;
      readonly esm_class?: number;
      readonly data_coding?: number;
      readonly short_message?: unknown;
      readonly message_payload?: unknown;
      isResponse(): boolean;
      response(fields?: Record<string, unknown>): Pdu;
    }
    type Answered = (pdu: Pdu) => void;

    interface Session extends EventEmitter {
      readonly socket: Socket;
      send(pdu: Pdu): boolean;
      bind_transceiver(fields: Record<string, unknown>, answered: Answered): boolean;
      submit_sm(fields: Record<string, unknown>, answered: Answered): boolean;
      deliver_sm(fields: Record<string, unknown>, answered: Answered): boolean;
      enquire_link(fields: Record<string, unknown>, answered: Answered): boolean;
      unbind(fields: Record<string, unknown>, answered: Answered): boolean;
      close(): void;
      destroy(): void;
    }
    interface Server extends NetServer {
      readonly sessions: Session[];
    }
  }

  const smpp: {
    connect(options: { host: string; port: number; tls: boolean }): smpp.Session;
    createServer(listener: (session: smpp.Session) => void): smpp.Server;
    readonly filters: { message: { decode: (value: unknown) => unknown } };
    readonly commands: Record<string, { params?: Record<string, unknown> }>;
  };
  export = smpp;
}
