/** An archive of files as one file of an image. @module */
import type { AbortOptions, Bytes } from '@granary/core'
import type { ExtractStep } from '../items.ts'
import type { ExtractOptions } from '../report.ts'
import { boundTar } from '../tar/bound-tar.ts'
import { writeTar } from '../tar/write-tar.ts'
import type { IsoEntry } from './entry.ts'

/**
 * The archive `name` at the top of the image. Its room is reserved by what is known of the files; what can't be read
 * is left out of it. Holes are zeros in it.
 *
 * @param steps gives the same files each time it is called
 */
export const archiveEntry = async (
  name: string,
  steps: () => AsyncIterable<ExtractStep>,
  { timeNs, signal, ...options }: Pick<ExtractOptions, 'onError'> & AbortOptions & { readonly timeNs: bigint },
): Promise<IsoEntry> => {
  const sizeBytes = await boundTar(steps(), { signal })
  return {
    path: [{ text: name }],
    stat: { type: 'file', ino: 0, sizeBytes, nlink: 1, mode: 0o600, uid: 0, gid: 0, mtime: timeNs, ctime: timeNs },
    open: async () => ({
      sizeBytes,
      mayBeShorter: true,
      read: reading => pull(steps, { ...options, ...reading }),
    }),
  }
}

/** Turns the writer around: it writes while it is asked for more. */
async function* pull(
  steps: () => AsyncIterable<ExtractStep>,
  options: ExtractOptions,
): AsyncGenerator<Bytes, void, undefined> {
  const ending = new AbortController()
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal])
  let offer: (piece: Bytes | undefined) => void = () => undefined
  let taken: () => void = () => undefined
  let refused: (reason: Error) => void = () => undefined
  signal.addEventListener('abort', () => refused(signal.reason as Error), { once: true })
  const wait = (): Promise<Bytes | undefined> => new Promise(resolve => (offer = resolve))
  let position = 0
  let next = wait()
  const write = async (bytes: Bytes): Promise<void> => {
    signal.throwIfAborted()
    position += bytes.length
    await new Promise<void>((resolve, reject) => {
      taken = resolve
      refused = reject
      offer(bytes.slice()) // The writer uses its memory again.
    })
  }
  const sink = {
    get position() {
      return position
    },
    write,
  }
  const writing = writeTar(steps(), sink, { ...options, sparse: false, signal }).finally(() => offer(undefined))
  writing.catch(() => undefined) // Thrown below.
  try {
    for (let piece = await next; piece !== undefined; piece = await next) {
      next = wait()
      yield piece
      taken()
    }
    await writing
  } finally {
    ending.abort(new Error('nobody reads the archive'))
    await writing.catch(() => undefined)
  }
}
