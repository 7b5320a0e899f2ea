/**
 * The work on a window, where the bytes are: read, cut, name, ask what is known, compress, seal. Runs on a worker thread or,
 * for embedding, on the caller's: the same code, another host.
 *
 * @module
 */
import { readSync } from 'node:fs'
import { Arena, GranaryError, fromSystemError } from '@granary/core'
import type { ArenaSlice, Bytes } from '@granary/core'
import { DATA, chunkerArenaBytes, createChunker } from '@granary/chunker'
import type { Chunker, Cuts, WindowCutter } from '@granary/chunker'
import { createCompressor, createKeyedHasher } from '@granary/transform'
import type { Compressor, KeyedHasher } from '@granary/transform'
import { ID_BYTES } from '../format/ids.ts'
import { storeChangedWindow } from './changed-window.ts'
import { LeafBuilder } from './leaf-builder.ts'
import { PackOutput } from './pack-output.ts'
import { BATCH_BYTES } from './window-job.ts'
import type { WindowHost, WindowJob, WindowResult, WindowSetup } from './window-job.ts'

/** What a worker holds beside its chunker: what is pending, a batch, two buffers of its pack, and twice a chunk to compress in. */
const OUTPUT_BYTES = 5 * 1024 * 1024
const SCRATCH_BYTES = 1024 * 1024

/** A chunk whose bytes are in the arena. */
export interface FreshChunk {
  readonly bytes: Bytes
  readonly id: Bytes
}

export class WindowWorker {
  readonly arena: Arena
  readonly #host: WindowHost
  readonly #chunker: Chunker
  readonly #hasher: KeyedHasher
  readonly #compressor: Compressor
  readonly #output: PackOutput
  /** `maxPendingBytes`, then a batch: a chunk that began in the batch before lies right before this one. */
  readonly #input: ArenaSlice
  readonly #pendingBytes: number
  #sourceMs = 0

  constructor(setup: WindowSetup, host: WindowHost) {
    const { maxBytes } = setup.chunker
    const arenaBytes = chunkerArenaBytes(setup.chunker) + 3 * maxBytes + BATCH_BYTES + 2 * OUTPUT_BYTES + SCRATCH_BYTES
    this.arena = new Arena(arenaBytes)
    this.#host = host
    this.#chunker = createChunker(setup.chunker, setup.chunkerSecret, { arena: this.arena })
    this.#pendingBytes = this.#chunker.maxPendingBytes
    this.#input = this.arena.allocate(this.#pendingBytes + BATCH_BYTES)
    this.#hasher = createKeyedHasher(setup.chunkIdKey)
    this.#compressor = createCompressor(setup.compression, { arena: this.arena, maxBlockBytes: maxBytes })
    const buffers = [this.arena.allocate(OUTPUT_BYTES).bytes, this.arena.allocate(OUTPUT_BYTES).bytes] as const
    this.#output = new PackOutput(setup, buffers, piece => host.emit(piece))
  }

  /** Stores a window and gives back its leaf. Nothing of a window that failed may be committed. */
  async store(job: WindowJob): Promise<WindowResult> {
    const startMs = performance.now()
    const [sourceMs, targetMs] = [this.#sourceMs, this.#output.waitedMs]
    const stored =
      job.parent === undefined ? await new WindowRun(this, job).run() : await storeChangedWindow(this, job, job.parent)
    const times = {
      totalMs: performance.now() - startMs,
      sourceMs: this.#sourceMs - sourceMs,
      targetMs: this.#output.waitedMs - targetMs,
    }
    return { ...stored, times }
  }

  /** Ends the open pack. */
  async finish(): Promise<void> {
    await this.#output.finish()
  }

  get input(): ArenaSlice {
    return this.#input
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get chunker(): Chunker {
    return this.#chunker
  }

  /** Reads from the disk into the arena. */
  async read(job: WindowJob, offset: number, target: Bytes): Promise<void> {
    const startMs = performance.now()
    if (job.fileDescriptor === undefined) await this.#host.read(offset, target)
    else readFully(job.fileDescriptor, offset, target)
    this.#sourceMs += performance.now() - startMs
  }

  idOf(bytes: Bytes): Bytes {
    return this.#hasher.digest(bytes)
  }

  /** Stores those of the chunks that are not stored yet. */
  async storeChunks(
    chunks: readonly FreshChunk[],
  ): Promise<{ newBytes: number; storedBytes: number; newChunks: number }> {
    const counts = { newBytes: 0, storedBytes: 0, newChunks: 0 }
    if (chunks.length === 0) return counts
    const ids = new Uint8Array(chunks.length * ID_BYTES)
    for (const [i, chunk] of chunks.entries()) ids.set(chunk.id, i * ID_BYTES)
    const isUnknown = await this.#host.claim(ids)
    for (const [i, { bytes, id }] of chunks.entries()) {
      if (isUnknown[i] !== 1) continue
      const packed = this.#compressor.compress(bytes)
      const blob = { id, bytes: packed.bytes, plainLength: bytes.length, compression: packed.id }
      counts.storedBytes += await this.#output.add(blob)
      counts.newBytes += bytes.length
      counts.newChunks++
    }
    return counts
  }
}

/** One window on its way through a worker. */
class WindowRun {
  readonly #worker: WindowWorker
  readonly #job: WindowJob
  readonly #cutter: WindowCutter
  readonly #leaf: LeafBuilder
  readonly #stats = { readBytes: 0, dataBytes: 0, newBytes: 0, storedBytes: 0, chunks: 0, newChunks: 0 }
  /** Bytes of the window given to the cutter, and bytes it has made pieces of. */
  #taken = 0
  #cut = 0

  constructor(worker: WindowWorker, job: WindowJob) {
    this.#worker = worker
    this.#job = job
    this.#cutter = worker.chunker.openCutter()
    this.#leaf = new LeafBuilder(job.ranges)
  }

  async run(): Promise<Omit<WindowResult, 'times'>> {
    for (const { length, kind } of this.#job.ranges) {
      if (kind === 'data') await this.#takeData(length)
      else await this.#takeZeros(length)
    }
    await this.#place(this.#cutter.finish(), 0)
    return { leaf: this.#leaf.finish(), stats: this.#stats }
  }

  async #takeData(length: number): Promise<void> {
    const { input, pendingBytes } = this.#worker
    for (let done = 0; done < length;) {
      const batch = Math.min(BATCH_BYTES, length - done)
      const target = input.bytes.subarray(pendingBytes, pendingBytes + batch)
      await this.#worker.read(this.#job, this.#job.offset + this.#taken, target)
      this.#stats.readBytes += batch
      await this.#place(this.#cutter.push(input.pointer + pendingBytes, batch), batch)
      done += batch
    }
  }

  /** Zeros that need not be read. Within a zero run they need not even be there; before it, a chunk may end with some. */
  async #takeZeros(length: number): Promise<void> {
    const { input, pendingBytes } = this.#worker
    for (let done = 0; done < length;) {
      const isDeep = this.#cutter.isInZeroRun && this.#cutter.pendingBytes === 0
      const batch = isDeep ? length - done : Math.min(BATCH_BYTES, length - done)
      const filled = Math.min(batch, BATCH_BYTES)
      input.bytes.fill(0, isDeep ? 0 : pendingBytes, pendingBytes + filled)
      await this.#place(this.#cutter.pushZeros(batch), batch, filled)
      done += batch
    }
  }

  /**
   * Takes the pieces that became certain. The batch lies behind the pending bytes; its end is at `filled`.
   *
   * @param taken bytes given to the cutter by this call
   * @param filled bytes of them that are in memory, the last ones
   */
  async #place(cuts: Cuts, taken: number, filled = taken): Promise<void> {
    const { input, pendingBytes } = this.#worker
    this.#taken += taken
    const memoryStart = this.#taken - filled - pendingBytes // Window offset of the input's first byte.
    const chunks: FreshChunk[] = []
    for (let i = 0; i < cuts.count; i++) {
      const length = cuts.lengths[i] as number
      if (cuts.kinds[i] === DATA) {
        const at = this.#cut - memoryStart
        const bytes = input.bytes.subarray(at, at + length)
        const id = this.#worker.idOf(bytes)
        chunks.push({ bytes, id })
        this.#leaf.addChunk(length, id)
        this.#stats.dataBytes += length
      } else this.#leaf.addZeros(length)
      this.#cut += length
    }
    const counts = await this.#worker.storeChunks(chunks)
    this.#stats.chunks += chunks.length
    this.#stats.newBytes += counts.newBytes
    this.#stats.storedBytes += counts.storedBytes
    this.#stats.newChunks += counts.newChunks
    const pending = this.#cutter.pendingBytes
    const end = pendingBytes + filled
    input.bytes.copyWithin(pendingBytes - pending, end - pending, end)
  }
}

const readSome = (fileDescriptor: number, offset: number, target: Bytes): number => {
  try {
    return readSync(fileDescriptor, target, 0, target.length, offset)
  } catch (error) {
    throw fromSystemError(error, `reading the source at ${offset}`)
  }
}

/** Reads from a descriptor until the target is full. @throws GranaryError `GRANARY_SIZE` when the file ends before that */
const readFully = (fileDescriptor: number, offset: number, target: Bytes): void => {
  for (let done = 0; done < target.length;) {
    const count = readSome(fileDescriptor, offset + done, target.subarray(done))
    if (count === 0) {
      throw new GranaryError('GRANARY_SIZE', `the source ends at ${offset + done}: it shrank while it was read`, {
        detail: { offset: offset + done },
        hint: 'back up a disk that nobody truncates, or a snapshot of it',
      })
    }
    done += count
  }
}
