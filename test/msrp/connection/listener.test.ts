import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { listen } from '../../../src/msrp/connection/listener.js';
import { tls } from '../../sip/transport/bench.js';

it.each(['tcp', 'ws'] as const)(
  'a TLS listener over %s closes a connection that does not finish its handshake in time',
  async (transport) => {
    const failures: Error[] = [];
    const listener = await listen(
      { transport, secure: true, host: '127.0.0.1', port: 0 },
      {
        tls,
        wsMessageOctets: 1000,
        handshakeMs: 50,

        accept: () => expect.unreachable(),
        failed: (error) => failures.push(error),
      },
    );
    const silent = connect(listener.port, '127.0.0.1');
    silent.on('error', () => undefined);
    await once(silent, 'close');
    expect(failures.length).toBe(1);
    await listener.close();
  },
);
