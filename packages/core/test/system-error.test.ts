import { readFile } from 'node:fs/promises'
import t from 'tap'
import { GranaryError, fromSystemError } from '../src/index.ts'

const systemError = (code: string): Error =>
  Object.assign(new Error(`${code}: told`), { code, errno: -1, syscall: 'x' })

t.test('gives every error number its code, and the rest GRANARY_IO', async t => {
  const codes = {
    ENOENT: 'GRANARY_NOT_FOUND',
    ENOTDIR: 'GRANARY_NOT_FOUND',
    EEXIST: 'GRANARY_EXISTS',
    EACCES: 'GRANARY_PERMISSION',
    EPERM: 'GRANARY_PERMISSION',
    EROFS: 'GRANARY_PERMISSION',
    ENOSPC: 'GRANARY_NO_SPACE',
    EDQUOT: 'GRANARY_NO_SPACE',
    EBUSY: 'GRANARY_LOCKED',
    EMFILE: 'GRANARY_LIMIT',
    EFBIG: 'GRANARY_LIMIT',
    EISDIR: 'GRANARY_INVALID_ARGUMENT',
    ETIMEDOUT: 'GRANARY_TIMEOUT',
    EPIPE: 'GRANARY_IO',
    EIO: 'GRANARY_IO',
    ESTALE: 'GRANARY_IO',
  }
  for (const [errno, code] of Object.entries(codes)) {
    const cause = systemError(errno)
    t.match(fromSystemError(cause, 'reading disk.raw at 4096'), { code, cause, detail: { errno } }, errno)
  }
})

t.test('says what was done, what is wrong and what helps', async t => {
  const error = fromSystemError(systemError('ENOSPC'), 'writing to a.raw', { detail: { path: 'a.raw' } })
  t.match(error, {
    message: 'writing to a.raw: no space left (ENOSPC)',
    detail: { path: 'a.raw', errno: 'ENOSPC' },
    hint: /space/,
    retryable: false,
  })
  t.match(fromSystemError(systemError('EBUSY'), 'opening b', { hint: 'Stop the VM.' }), {
    hint: 'Stop the VM.',
    retryable: true,
  })
  const real = await readFile('/nonexistent/file').catch((error: unknown) => fromSystemError(error, 'reading'))
  t.match(real, { code: 'GRANARY_NOT_FOUND' })
})

t.test('leaves alone what is no system error', async t => {
  const bug = new TypeError('x is undefined')
  const ours = new GranaryError('GRANARY_CORRUPT', 'bad')
  const nodes = Object.assign(new Error('closed'), { code: 'ERR_STREAM_DESTROYED' })
  for (const error of [bug, ours, nodes, 'reason', undefined]) t.equal(fromSystemError(error, 'reading'), error)
})
