/**
 * System use entries: how they are packed into a directory record and, where it is full, into continuation areas.
 *
 * @see SUSP 1.12, sections 4 and 5.1
 * @module
 */
import type { Bytes } from '@granary/core'
import { setBoth32 } from './fields.ts'
import { SECTOR_BYTES } from './sectors.ts'

/** A record's length is one byte, and even (ECMA-119, 9.1.1). */
const MAX_RECORD_BYTES = 254

const CE_BYTES = 28

/** An entry: two letters, its length, version 1, and its data. */
export const systemUseEntry = (signature: string, data: Bytes): Bytes => {
  const entry = new Uint8Array(4 + data.length)
  entry.set(Buffer.from(signature, 'latin1'))
  entry[2] = entry.length
  entry[3] = 1
  entry.set(data, 4)
  return entry
}

/** 5.1: where the entries go on: logical block, offset in it, bytes. */
const continuationEntry = (sector: number, offset: number, length: number): Bytes => {
  const data = new Uint8Array(CE_BYTES - 4)
  const view = new DataView(data.buffer)
  setBoth32(view, 0, sector)
  setBoth32(view, 8, offset)
  setBoth32(view, 16, length)
  return systemUseEntry('CE', data)
}

/** The continuation areas of one directory: sectors that lie behind its records. */
export class ContinuationAreas {
  readonly #sectors: Bytes[] = []
  readonly #firstSector: number
  #used = SECTOR_BYTES

  /** @param firstSector where they will lie in the image */
  constructor(firstSector: number) {
    this.#firstSector = firstSector
  }

  get sectors(): readonly Bytes[] {
    return this.#sectors
  }

  /** Puts entries into areas, none of which crosses a sector, and gives back the entry that leads to the first. */
  put(entries: readonly Bytes[]): Bytes {
    const total = entries.reduce((bytes, entry) => bytes + entry.length, 0)
    if (this.#used + total > SECTOR_BYTES) this.#nextSector()
    const fitting = total <= SECTOR_BYTES ? entries.length : countFitting(entries, SECTOR_BYTES - CE_BYTES)
    const sector = this.#sectors.length - 1
    const offset = this.#used
    this.#append(entries.slice(0, fitting))
    if (fitting < entries.length) {
      // The link to the rest needs its place here before the rest has one.
      const at = this.#used
      this.#used += CE_BYTES
      this.#sectors[sector]?.set(this.put(entries.slice(fitting)), at)
      return continuationEntry(this.#firstSector + sector, offset, at + CE_BYTES - offset)
    }
    return continuationEntry(this.#firstSector + sector, offset, this.#used - offset)
  }

  #append(entries: readonly Bytes[]): void {
    for (const entry of entries) {
      this.#sectors.at(-1)?.set(entry, this.#used)
      this.#used += entry.length
    }
  }

  #nextSector(): void {
    this.#sectors.push(new Uint8Array(SECTOR_BYTES))
    this.#used = 0
  }
}

/** What stands in the record itself, after `recordBytes` of it: all entries, or those that fit and a way to the others. */
export const placeEntries = (entries: readonly Bytes[], recordBytes: number, areas: ContinuationAreas): Bytes => {
  const total = entries.reduce((bytes, entry) => bytes + entry.length, 0)
  if (recordBytes + total <= MAX_RECORD_BYTES) return Buffer.concat(entries)
  const fitting = countFitting(entries, MAX_RECORD_BYTES - recordBytes - CE_BYTES)
  return Buffer.concat([...entries.slice(0, fitting), areas.put(entries.slice(fitting))])
}

const countFitting = (entries: readonly Bytes[], room: number): number => {
  let bytes = 0
  const tooMuch = entries.findIndex(entry => (bytes += entry.length) > room)
  return tooMuch < 0 ? entries.length : tooMuch
}
