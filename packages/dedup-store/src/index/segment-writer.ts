/** Writes an index segment from entries in ascending order, page by page: its memory is one block, whatever its size. @module */
import type { Bytes } from '@granary/core'
import { suiteByName } from '@granary/transform'
import { PREFIX_BYTES } from '../format/ids.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import { associatedWith, createObjectSealer } from '../format/sealed-object.ts'
import { buildFuseFilter } from './fuse-filter.ts'
import {
  BLOCK_ENTRIES,
  PACK_ROW_BYTES,
  PAGE_BYTES,
  SEGMENT_ENTRY_BYTES,
  SMALL_SEGMENT_ENTRIES,
  encodeSegmentTrailer,
} from './segment-format.ts'
import type { SegmentBlock, SegmentDirectory } from './segment-format.ts'

/** A pack as the pack table names it. */
export interface PackRow {
  readonly sid: string
  readonly number: number
  /** 16 bytes. */
  readonly uid: Bytes
}

/** An entry: `prefix` is 16 bytes, `pack` a row of the pack table. */
export interface SegmentEntry {
  readonly prefix: Bytes
  readonly pack: number
  readonly ordinal: number
}

export interface SegmentContent {
  readonly packs: readonly PackRow[]
  /** Ascending by prefix; equal prefixes stand side by side. */
  readonly entries: AsyncIterable<SegmentEntry> | Iterable<SegmentEntry>
  /** An upper bound of how many there are; it chooses the page size. */
  readonly entriesAtMost: number
  readonly replaces?: readonly string[]
}

/** The pieces of a segment, to be put as `key`. */
export async function* encodeSegment(
  keys: RepositoryKeys,
  key: string,
  { packs, entries, entriesAtMost, replaces = [] }: SegmentContent,
): AsyncGenerator<Bytes, void, undefined> {
  const pageBytes = entriesAtMost <= SMALL_SEGMENT_ENTRIES ? PAGE_BYTES.small : PAGE_BYTES.large
  const plainBytes = pageBytes - suiteByName(keys.suite).tagBytes
  const { header, sealer } = createObjectSealer(keys, 'index', keys.index)
  const associated = associatedWith(header, key)
  let page = 0
  function* pages(content: Bytes): Generator<Bytes> {
    for (let at = 0; at < content.length; at += plainBytes) {
      const plain = new Uint8Array(plainBytes)
      plain.set(content.subarray(at, at + plainBytes))
      yield sealer.seal(page++, associated, plain)
    }
  }

  yield header
  const blocks: SegmentBlock[] = []
  let total = 0
  for await (const block of blocksOf(entries, plainBytes)) {
    const entryPage = page
    yield* pages(block.content)
    const { seed, filter } = buildFuseFilter(block.keys)
    const filterPage = page
    yield* pages(filter)
    blocks.push({
      first: block.first,
      entries: block.entries,
      keys: block.keys.length / 2,
      page: entryPage,
      filterPage,
      seed,
    })
    total += block.entries
  }
  const packPage = page
  yield* pages(encodePackTable(packs, plainBytes))
  const directoryPage = page
  const directory: Omit<SegmentDirectory, 'pages'> = { entries: total, blocks, packs: packs.length, packPage, replaces }
  const text = Buffer.from(JSON.stringify(directory))
  yield* pages(text)
  // The last page says where the directory is; it must be the last, whatever the directory's length.
  const last = new Uint8Array(12)
  const view = new DataView(last.buffer)
  view.setUint32(0, directoryPage, true)
  view.setUint32(4, text.length, true)
  view.setUint32(8, page + 1, true)
  yield* pages(last)
  yield encodeSegmentTrailer(pageBytes, page)
}

interface EntryBlock {
  readonly first: string
  readonly entries: number
  /** Entries, none of which crosses a page. */
  readonly content: Bytes
  /** Distinct filter keys, two words each. */
  readonly keys: Uint32Array
}

/** Gathers entries into blocks. Equal prefixes may fall into two blocks: a reader looks at the one before, too. */
async function* blocksOf(
  entries: SegmentContent['entries'],
  plainBytes: number,
): AsyncGenerator<EntryBlock, void, undefined> {
  const perPage = Math.floor(plainBytes / SEGMENT_ENTRY_BYTES)
  let block: SegmentEntry[] = []
  const finish = (): EntryBlock => {
    const content = new Uint8Array(Math.ceil(block.length / perPage) * plainBytes)
    const view = new DataView(content.buffer)
    const words = new Uint32Array(block.length * 2)
    let keys = 0
    for (const [i, { prefix, pack, ordinal }] of block.entries()) {
      const at = Math.floor(i / perPage) * plainBytes + (i % perPage) * SEGMENT_ENTRY_BYTES
      content.set(prefix, at)
      view.setUint32(at + PREFIX_BYTES, pack, true)
      view.setUint32(at + PREFIX_BYTES + 4, ordinal, true)
      const low = view.getUint32(at, true)
      const high = view.getUint32(at + 4, true)
      if (keys > 0 && words[keys * 2 - 2] === low && words[keys * 2 - 1] === high) continue
      words[keys * 2] = low
      words[keys * 2 + 1] = high
      keys++
    }
    const first = Buffer.from((block[0] as SegmentEntry).prefix).toString('hex')
    return { first, entries: block.length, content, keys: words.subarray(0, keys * 2) }
  }
  for await (const entry of entries) {
    block.push(entry)
    if (block.length < BLOCK_ENTRIES) continue
    yield finish()
    block = []
  }
  if (block.length > 0) yield finish()
}

const encodePackTable = (packs: readonly PackRow[], plainBytes: number): Bytes => {
  const perPage = Math.floor(plainBytes / PACK_ROW_BYTES)
  const table = new Uint8Array(Math.ceil(packs.length / perPage) * plainBytes)
  const view = new DataView(table.buffer)
  for (const [i, { sid, number, uid }] of packs.entries()) {
    const at = Math.floor(i / perPage) * plainBytes + (i % perPage) * PACK_ROW_BYTES
    table.set(Buffer.from(sid, 'hex'), at)
    view.setUint32(at + 16, number, true)
    table.set(uid, at + 20)
  }
  return table
}
