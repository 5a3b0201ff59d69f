import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Element } from '../../../src/imps/codec/element.js';

/** A document as a list of names and texts in order: `<Name`, and for leaves with text `<Name=text`. */
export function flatten(element: Element): string[] {
  const own =
    element.children.length === 0 && element.text !== ''
      ? `<${element.name}=${element.text}`
      : `<${element.name}`;
  return [own, ...element.children.flatMap(flatten)];
}

function ipPacket(port: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(40 + payload.length, 2);
  header.writeUInt8(64, 8);
  header.writeUInt8(6, 9);
  header.writeUInt32BE(0x7f000001, 12);
  header.writeUInt32BE(0x7f000001, 16);
  header.writeUInt16BE(port, 20);
  header.writeUInt16BE(80, 22);
  header.writeUInt32BE(1, 24);
  header.writeUInt32BE(1, 28);
  header.writeUInt16BE(0x5018, 32);
  header.writeUInt16BE(8192, 34);
  return Buffer.concat([header, payload]);
}

/**
 * What tshark's dissector reads in WBXML documents, each in the form of {@link flatten}. A document travels in a
 * capture of one HTTP request, since the dissector is bound to the media type.
 */
export function tsharkReadings(documents: readonly Buffer[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'parley-wbxml-'));
  try {
    const global = Buffer.alloc(24);
    global.writeUInt32LE(0xa1b2c3d4, 0);
    global.writeUInt16LE(2, 4);
    global.writeUInt16LE(4, 6);
    global.writeUInt32LE(262_144, 16);
    global.writeUInt32LE(101, 20); // raw IP
    const records = documents.flatMap((wbxml, index) => {
      const http = Buffer.from(
        'POST /csp HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.wv.csp.wbxml\r\n' +
          `Content-Length: ${wbxml.length}\r\n\r\n`,
      );
      const packet = ipPacket(40_000 + index, Buffer.concat([http, wbxml]));
      const record = Buffer.alloc(16);
      record.writeUInt32LE(packet.length, 8);
      record.writeUInt32LE(packet.length, 12);
      return [record, packet];
    });
    const file = join(folder, 'capture.pcap');
    writeFileSync(file, Buffer.concat([global, ...records]));
    const { stdout } = spawnSync('tshark', ['-r', file, '-V', '-O', 'wbxml'], {
      encoding: 'utf8',
      maxBuffer: 256 << 20,
    });
    return stdout
      .split(/^Frame /m)
      .slice(1)
      .map(readRendering);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readRendering(output: string): string[] {
  const reading: string[] = [];
  for (const line of output.split('\n')) {
    const [, state, , token = '', rendering = ''] = line.split('|').map((cell) => cell.trim());
    if (state !== 'Tag') continue;
    const tag = /^<([^/\s>]+)/.exec(rendering)?.[1];
    if (tag !== undefined) reading.push(`<${tag}`);
    else if (/^(STR_I|EXT_T_0|OPAQUE)/.test(token)) {
      const text = /^(?:[\w -]+: )?'?(.*?)'?$/.exec(rendering)?.[1] ?? rendering;
      reading[reading.length - 1] += `=${text}`;
    }
  }
  return reading;
}

type Language = 'CSP11' | 'CSP12';

/** What libwbxml's `wbxml2xml` writes for a document, as XML. */
export const libwbxmlReading = (wbxml: Buffer, language: Language): string =>
  libwbxmlReadings([wbxml], language)[0]!;

export function libwbxmlReadings(documents: readonly Buffer[], language: Language): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'parley-wbxml-'));
  try {
    const file = join(folder, 'document.wbxml');
    return documents.map((wbxml) => {
      writeFileSync(file, wbxml);
      const { stdout, stderr } = spawnSync('wbxml2xml', ['-m', '0', '-l', language, '-o', '-', file], {
        encoding: 'utf8',
        maxBuffer: 64 << 20,
      });
      if (stdout === '') throw new Error(stderr);
      return stdout;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
