/** Merges index segments: ascending entries of several into one ascending stream, packs renumbered, gone packs left out. @module */
import type { AbortOptions } from '@granary/core'
import { packKey } from '../format/ids.ts'
import type { PackRow, SegmentContent, SegmentEntry } from './segment-writer.ts'
import type { SegmentReader } from './segment-reader.ts'

/**
 * The content of a segment that stands for all of `segments`.
 *
 * @param isExcluded true for packs that no longer count (deleted, or about to be)
 */
export const mergeSegments = async (
  segments: readonly SegmentReader[],
  isExcluded: (packKey: string) => boolean,
  options: AbortOptions = {},
): Promise<SegmentContent> => {
  const packs: PackRow[] = []
  const rowOf = new Map<string, number>()
  const renumbered: (number | undefined)[][] = []
  for (const segment of segments) {
    const rows: (number | undefined)[] = []
    for (let row = 0; row < segment.directory.packs; row++) {
      const pack = await segment.packRow(row, options)
      rows.push(isExcluded(packKey(pack)) ? undefined : rowFor(pack, packs, rowOf))
    }
    renumbered.push(rows)
  }
  const sources = segments.map((segment, i) => surviving(segment, renumbered[i] as (number | undefined)[], options))
  return {
    packs,
    entries: mergeSorted(sources),
    entriesAtMost: segments.reduce((sum, segment) => sum + segment.directory.entries, 0),
    replaces: segments.map(segment => segment.key),
  }
}

const rowFor = (pack: PackRow, packs: PackRow[], rowOf: Map<string, number>): number => {
  const name = `${packKey(pack)} ${Buffer.from(pack.uid).toString('hex')}`
  const known = rowOf.get(name)
  if (known !== undefined) return known
  rowOf.set(name, packs.length)
  return packs.push(pack) - 1
}

async function* surviving(
  segment: SegmentReader,
  rows: readonly (number | undefined)[],
  options: AbortOptions,
): AsyncGenerator<SegmentEntry, void, undefined> {
  for await (const entry of segment.entries(options)) {
    const pack = rows[entry.pack]
    if (pack !== undefined) yield { ...entry, pack }
  }
}

const compareEntries = (a: SegmentEntry, b: SegmentEntry): number =>
  Buffer.compare(a.prefix, b.prefix) || a.pack - b.pack || a.ordinal - b.ordinal

/** A merge of ascending streams; an entry that several of them hold comes once. */
async function* mergeSorted(
  sources: readonly AsyncGenerator<SegmentEntry, void>[],
): AsyncGenerator<SegmentEntry, void, undefined> {
  const heads: { entry: SegmentEntry; source: AsyncGenerator<SegmentEntry, void> }[] = []
  for (const source of sources) {
    const first = await source.next()
    if (!first.done) heads.push({ entry: first.value, source })
  }
  let last: SegmentEntry | undefined
  while (heads.length > 0) {
    let least = 0
    for (let i = 1; i < heads.length; i++) {
      if (compareEntries((heads[i] as (typeof heads)[0]).entry, (heads[least] as (typeof heads)[0]).entry) < 0)
        least = i
    }
    const head = heads[least] as (typeof heads)[0]
    if (last === undefined || compareEntries(last, head.entry) !== 0) yield head.entry
    last = head.entry
    const next = await head.source.next()
    if (next.done) heads.splice(least, 1)
    else head.entry = next.value
  }
}
