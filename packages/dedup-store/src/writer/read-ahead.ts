/** Reads the data of a window before its worker asks: a source that answers late works while the window is cut and packed. @module */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { BATCH_BYTES } from './window-job.ts'
import type { WindowJob } from './window-job.ts'

/** Buffers that are filled ahead of what the worker has taken. */
const DEPTH = 2

/** Most reads into one buffer: of a disk in shreds a few are asked for at once, not hundreds. */
const MOST_READS = 16

/** Buffers of `BATCH_BYTES` that go round among the windows of one disk: fresh memory costs a page fault every 4 KiB. */
export class BatchBuffers {
  readonly #free: Bytes[] = []

  take(): Bytes {
    return this.#free.pop() ?? new Uint8Array(BATCH_BYTES)
  }

  give(buffer: Bytes): void {
    this.#free.push(buffer)
  }
}

interface Range {
  readonly offset: number
  readonly length: number
}

interface Filling {
  readonly buffer: Bytes
  /** Reads into it that nobody has taken yet. */
  untaken: number
}

interface Ahead extends Range {
  readonly filling: Filling
  readonly bytes: Bytes
  readonly done: Promise<void>
}

/** One window's reads, in the order in which `WindowWorker` asks for them. */
export interface WindowReads extends AsyncDisposable {
  /** @throws what reading the disk throws */
  read(offset: number, target: Bytes): Promise<void>
}

/**
 * Begins to read. At most `DEPTH` buffers are taken; when it is disposed, every read has ended and they are given back.
 * What is asked for out of turn is read then.
 */
export const readAhead = (
  disk: DiskReader,
  job: Pick<WindowJob, 'offset' | 'ranges'>,
  { buffers, signal }: { readonly buffers: BatchBuffers } & AbortOptions,
): WindowReads => {
  const groups = inGroups(batchesOf(job))
  const stop = new AbortController()
  const readSignal = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const ahead: Ahead[] = []
  const fill = (): void => {
    const { value: group } = groups.next()
    if (group === undefined) return
    const filling: Filling = { buffer: buffers.take(), untaken: group.length }
    let used = 0
    for (const { offset, length } of group) {
      const bytes = filling.buffer.subarray(used, used + length)
      const done = disk.read(offset, bytes, { signal: readSignal })
      done.catch(() => undefined) // Told to whoever asks for it.
      ahead.push({ offset, length, filling, bytes, done })
      used += length
    }
  }
  for (let filled = 0; filled < DEPTH; filled++) fill()
  return {
    async read(offset, target) {
      const [next] = ahead
      if (next?.offset !== offset || next.length !== target.length) {
        return await disk.read(offset, target, { signal: readSignal })
      }
      await next.done
      target.set(next.bytes)
      ahead.shift()
      if (--next.filling.untaken > 0) return
      buffers.give(next.filling.buffer)
      fill()
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the window needs no more of its disk'))
      await Promise.allSettled(ahead.map(({ done }) => done))
      for (const { buffer } of new Set(ahead.map(({ filling }) => filling))) buffers.give(buffer)
    },
  }
}

/** What the worker will ask for: the runs of data, in batches. */
function* batchesOf({ offset, ranges }: Pick<WindowJob, 'offset' | 'ranges'>): Generator<Range, void, undefined> {
  let at = offset
  for (const { kind, length } of ranges) {
    const end = at + length
    if (kind === 'data')
      for (; at < end; at += BATCH_BYTES) yield { offset: at, length: Math.min(BATCH_BYTES, end - at) }
    at = end
  }
}

/** Batches that one buffer has room for. */
function* inGroups(batches: Iterable<Range>): Generator<readonly Range[], undefined, undefined> {
  let group: Range[] = []
  let bytes = 0
  for (const batch of batches) {
    if (bytes + batch.length > BATCH_BYTES || group.length === MOST_READS) {
      yield group
      group = []
      bytes = 0
    }
    group.push(batch)
    bytes += batch.length
  }
  if (group.length > 0) yield group
}
