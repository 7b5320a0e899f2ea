/** A disk with changes kept in memory: what replaying a log would write. @module */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { overLimit } from '../errors.ts'
import { mappedDisk } from './mapped-disk.ts'
import type { Piece } from './mapped-disk.ts'

const PAGE_BYTES = 4096

/** 128 MiB of changes. */
const MAX_PAGES = 32_768

export class Patches {
  readonly #disk: DiskReader
  readonly #pages = new Map<number, Bytes>()

  constructor(disk: DiskReader) {
    this.#disk = disk
  }

  get isEmpty(): boolean {
    return this.#pages.size === 0
  }

  /** Changes bytes. @throws GranaryError `GRANARY_LIMIT` when there are too many changes */
  async write(offset: number, bytes: Bytes, options: AbortOptions): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const at = offset + done
      const page = Math.floor(at / PAGE_BYTES)
      const start = at - page * PAGE_BYTES
      const length = Math.min(PAGE_BYTES - start, bytes.length - done)
      const target = await this.#page(page, options)
      target.set(bytes.subarray(done, done + length), start)
      done += length
    }
  }

  async read(offset: number, target: Bytes, options: AbortOptions): Promise<void> {
    for (let done = 0; done < target.length;) {
      const at = offset + done
      const page = Math.floor(at / PAGE_BYTES)
      const start = at - page * PAGE_BYTES
      const length = Math.min(PAGE_BYTES - start, target.length - done)
      const part = target.subarray(done, done + length)
      const changed = this.#pages.get(page)
      if (changed === undefined) await this.#disk.read(at, part, options)
      else part.set(changed.subarray(start, start + length))
      done += length
    }
  }

  async #page(page: number, options: AbortOptions): Promise<Bytes> {
    const found = this.#pages.get(page)
    if (found !== undefined) return found
    if (this.#pages.size >= MAX_PAGES) throw overLimit('log', `changes in ${MAX_PAGES} pages`, 'more')
    const offset = page * PAGE_BYTES
    const fresh = new Uint8Array(PAGE_BYTES)
    await this.#disk.read(
      offset,
      fresh.subarray(0, Math.max(Math.min(PAGE_BYTES, this.#disk.sizeBytes - offset), 0)),
      options,
    )
    this.#pages.set(page, fresh)
    return fresh
  }

  /** The disk as it is with the changes so far. */
  disk(): DiskReader {
    const { sizeBytes, blockBytes } = this.#disk
    return mappedDisk({
      sizeBytes,
      blockBytes,
      where: 'volume with its log replayed',
      locate: (offset): Piece => {
        const page = Math.floor(offset / PAGE_BYTES)
        const start = offset - page * PAGE_BYTES
        const changed = this.#pages.get(page)
        const length = Math.min(PAGE_BYTES - start, sizeBytes - offset)
        if (changed !== undefined) return { kind: 'bytes', length, bytes: changed.subarray(start) }
        let end = page + 1
        while (end - page < 256 && !this.#pages.has(end)) end++
        return { kind: 'disk', disk: this.#disk, offset, length: Math.min(end * PAGE_BYTES, sizeBytes) - offset }
      },
    })
  }
}
