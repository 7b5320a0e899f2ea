/** A disk that comes as a stream, such as from standard input: read once, in order, its size known at its end. @module */
import type { Bytes, ByteSource } from '../bytes.ts'
import type { AbortOptions } from '../disk.ts'
import { GranaryError } from '../errors.ts'
import { fromSystemError } from '../system-error.ts'

/** A sequential source for backup and copy. It is no `DiskReader`: nothing can be read twice. */
export interface DiskStream extends AsyncDisposable {
  /** What the source is called in messages. */
  readonly name: string
  /** The size of the disk; undefined until `chunks` has ended well. */
  readonly sizeBytes: number | undefined
  /**
   * The content, in pieces of any size above 0, each owned by the receiver until it asks for the next.
   *
   * @throws GranaryError `GRANARY_INVALID_ARGUMENT` at the second call; `GRANARY_IO` when the source fails
   */
  chunks(options?: AbortOptions): AsyncGenerator<Bytes, void, undefined>
}

/**
 * A disk out of any source of bytes. On an abort a Node stream is destroyed, which ends a wait for input;
 * any other source must heed the signal itself.
 *
 * @example diskStream(process.stdin, 'standard input')
 */
export const diskStream = (source: ByteSource, name: string): DiskStream => {
  let isStarted = false
  let sizeBytes: number | undefined
  return {
    name,
    get sizeBytes() {
      return sizeBytes
    },
    async *chunks({ signal } = {}) {
      if (isStarted) throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${name} can be read once only`)
      isStarted = true
      signal?.throwIfAborted()
      const onAbort = (): void => destroy(source)
      signal?.addEventListener('abort', onAbort, { once: true })
      let seenBytes = 0
      try {
        for await (const chunk of source) {
          signal?.throwIfAborted()
          if (chunk.length === 0) continue
          seenBytes += chunk.length
          yield chunk
        }
        signal?.throwIfAborted()
        sizeBytes = seenBytes
      } catch (error) {
        signal?.throwIfAborted()
        throw fromStreamError(error, `reading ${name} at ${seenBytes}`)
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    async [Symbol.asyncDispose]() {
      destroy(source)
    },
  }
}

const destroy = (source: ByteSource): void => {
  if ('destroy' in source && typeof source.destroy === 'function') source.destroy()
}

/** System errors as everywhere; what Node says of a stream that ended too early or was closed is a failure of I/O. */
export const fromStreamError = (error: unknown, what: string): unknown => {
  const isStreamError =
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^ERR_STREAM_(PREMATURE_CLOSE|DESTROYED|WRITE_AFTER_END)$/.test(error.code)
  if (!isStreamError) return fromSystemError(error, what)
  return new GranaryError('GRANARY_IO', `${what}: the stream was closed`, { cause: error })
}
