import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import { parseStoreUrl } from '../../src/store/open.js';

describe('a store URL', () => {
  it.each([
    ['lmdb:./data', { backend: 'lmdb', path: './data', sync: undefined }],
    ['lmdb:/var/lib/parley', { backend: 'lmdb', path: '/var/lib/parley', sync: undefined }],
    ['lmdb:///var/lib/parley', { backend: 'lmdb', path: '/var/lib/parley', sync: undefined }],
    ['lmdb:./data?sync=commit', { backend: 'lmdb', path: './data', sync: 'commit' }],
    ['redis://127.0.0.1', { backend: 'redis', urls: ['redis://127.0.0.1'] }],
    ['redis://user:p%40ss@[::1]:6379/3', { backend: 'redis', urls: ['redis://user:p%40ss@[::1]:6379/3'] }],
    ['rediss://redis.ims.test:6380/', { backend: 'redis', urls: ['rediss://redis.ims.test:6380/'] }],
    ['redis://a:1, redis://b:2', { backend: 'redis', urls: ['redis://a:1', 'redis://b:2'] }],
    ['redis://u:p@a:1,b:2', { backend: 'redis', urls: ['redis://u:p@a:1', 'redis://u:p@b:2'] }],
    [
      'rediss+sentinel://u:p@a:1,b/mymaster/2',
      {
        backend: 'redis-sentinel',
        place: {
          sentinels: ['rediss://a:1', 'rediss://b:26379'],
          master: 'mymaster',
          like: 'rediss://u:p@master/2',
        },
      },
    ],
  ])('%s is taken apart', (url, address) => {
    expect(parseStoreUrl(url)).toEqual(address);
  });

  it.each([
    ['', /use lmdb:PATH, redis:/],
    ['./data', /use lmdb:PATH, redis:/],
    ['lmdb:', /needs a folder/],
    ['lmdb:?sync=none', /needs a folder/],
    ['lmdb:./data?sync=always', /none, interval, commit/],
    ['lmdb:./data?', /none, interval, commit/],
    ['http://127.0.0.1', /scheme http: is not known/],
    ['redis://', /host is missing/],
    ['redis://127.0.0.1/users', /database is a number/],
    ['redis://127.0.0.1/0?tls=1', /nothing may follow/],
    ['redis://a:1,redis://b:2/1', /a cluster has database 0 only/],
    ['redis://a:1,', /use lmdb:PATH, redis:/],
    ['redis+sentinel://a:1,b:2', /sentinels are named as in/],
    ['redis+sentinel://a:1/mymaster/x', /sentinels are named as in/],
    ['redis+sentinel://a:1,:2/mymaster', /use lmdb:PATH, redis:/],
  ])('%s is refused with its reason', (url, why) => {
    const error = refusalOf(url);
    expect(error.code).toBe('store-url-invalid');
    expect(error.message).toMatch(why);
  });

  it('keeps its password out of the error', () => {
    expect(refusalOf('redis://user:s3cret@127.0.0.1/x').message).not.toContain('s3cret');
  });
});

function refusalOf(url: string): ParleyError {
  try {
    parseStoreUrl(url);
  } catch (error) {
    if (error instanceof ParleyError) return error;
    throw error;
  }
  throw new Error(`${url} was taken`);
}
