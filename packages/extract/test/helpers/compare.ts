/** Holds what was extracted against what the kernel showed of the original. @module */
import { execFileSync, spawnSync } from 'node:child_process'
import { kernelView } from './fixture.ts'
import type { WantedEntry } from './fixture.ts'

export const hasProgram = (program: string): boolean => spawnSync('which', [program]).status === 0

export interface CompareOptions {
  /** Root sets all of this. */
  readonly hasOwners: boolean
  readonly hasDevices: boolean
  readonly hasXattrs: boolean
  /** Sockets have no place. @default as with devices */
  readonly mtimes?: 'nanoseconds' | 'none'
}

type Row = Record<string, unknown>

const keyOf = ({ path, path_hex }: Pick<WantedEntry, 'path' | 'path_hex'>): string =>
  path_hex ?? Buffer.from(path).toString('hex')

/** Differences as sentences. */
export const differencesOnDisk = (
  folder: string,
  wanted: readonly WantedEntry[],
  options: CompareOptions,
): string[] => {
  const shown = JSON.parse(
    execFileSync('python3', [kernelView, 'show', folder], { maxBuffer: 1 << 30 }).toString(),
  ) as WantedEntry[]
  const found = new Map(shown.map(entry => [keyOf(entry), entry]))
  const differences: string[] = []
  const isLeftOut = (type: string): boolean =>
    type === 'socket' || (!options.hasDevices && (type === 'chr' || type === 'blk'))
  for (const entry of wanted) {
    const row = found.get(keyOf(entry))
    found.delete(keyOf(entry))
    if (entry.path === '/' || isLeftOut(entry.type)) continue
    if (row === undefined) differences.push(`${entry.path}: is missing`)
    else
      for (const [field, value] of Object.entries(expected(entry, options)))
        if (JSON.stringify((row as unknown as Row)[field]) !== JSON.stringify(value))
          differences.push(
            `${entry.path}: ${field} is ${JSON.stringify((row as unknown as Row)[field])} instead of ${JSON.stringify(value)}`,
          )
  }
  return [...differences, ...[...found.values()].map(({ path }) => `${path}: is too much`)]
}

const expected = (entry: WantedEntry, { hasOwners, hasXattrs, mtimes = 'nanoseconds' }: CompareOptions): Row => ({
  type: entry.type,
  ...(entry.type === 'file' || entry.type === 'symlink' ? { size: entry.size } : {}),
  sha256: entry.sha256,
  target: entry.target,
  rdev: entry.rdev,
  ...(mtimes === 'nanoseconds' ? { mtime: entry.mtime } : {}),
  ...(hasOwners ? { uid: entry.uid, gid: entry.gid, mode: entry.mode } : {}),
  ...(entry.type === 'file' ? { nlink: entry.nlink } : {}),
  ...(hasXattrs ? { xattrs: entry.xattrs } : {}),
})
