import { describe } from 'vitest';
import { node } from '../sip/embedded/nodes.js';
import { sipStackContract } from './sip-stack.js';

describe('the embedded stack', () => {
  sipStackContract(() => node(['udp:127.0.0.1:0', 'tcp:127.0.0.1:0', 'ws:127.0.0.1:0']));
});
