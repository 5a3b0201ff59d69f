// Exit 0 when the server in this container says that it is ready, else 1: what Docker's HEALTHCHECK asks.
import { get } from 'node:http';

const listen = process.env.PARLEY_HTTP_LISTEN || '127.0.0.1:8080';
const address = listen.replace(/^(?:0\.0\.0\.0|\[::\]):/, '127.0.0.1:');
get(`http://${address}/readyz`, { timeout: 2_500 }, ({ statusCode }) =>
  process.exit(statusCode === 200 ? 0 : 1),
)
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1));
