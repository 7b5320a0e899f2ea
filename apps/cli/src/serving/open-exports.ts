/** The disks of `granary serve`, opened as they are to be served. @module */
import { GranaryError, openRawWriter } from '@granary/core'
import type { DiskReader, DiskWriter } from '@granary/core'
import { cachedDisk, connectNbd } from '@granary/nbd'
import type { NbdExport } from '@granary/nbd'
import { openFileToWrite, openQcow2Writer } from '@granary/qcow2'
import { parseDiskAddress } from '../disks/disk-address.ts'
import type { DiskAddress } from '../disks/disk-address.ts'
import { lockFile } from '../disks/file-lock.ts'
import { resolverFor } from '../disks/image-file.ts'
import { diskNameOf, nbdSource, openReader } from '../disks/open-source.ts'
import { expectNoQemu } from '../disks/qemu-lock.ts'
import type { OpenSource, SourceOptions } from '../disks/open-source.ts'
import { openOverlayFile } from './overlay-file.ts'

export interface ServeOptions extends SourceOptions {
  readonly isWritable: boolean
  /** Files that keep what is written, in the order of the disks. */
  readonly overlays: readonly string[]
  /** Names of the exports, in the order of the disks. */
  readonly names: readonly string[]
}

const MIB = 1024 * 1024

/** Chunks are decoded on another thread; what is read again and again, and what comes next, is kept in front of them. */
const STORED_TUNING = { threads: 1, readAheadBytes: 0, cacheBytes: 32 * MIB } as const
const CACHE = { cacheBytes: 64 * MIB, readAheadBytes: 4 * MIB } as const

/**
 * Opens the disks. What must be closed, last first, goes into `opened`, also when a later one fails.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the options don't fit the disks
 */
export const openExports = async (
  disks: readonly string[],
  options: ServeOptions,
  opened: AsyncDisposable[],
): Promise<NbdExport[]> => {
  checkOptions(disks.length, options)
  const exports: NbdExport[] = []
  for (const [index, text] of disks.entries())
    exports.push(await openExport(text, { index, count: disks.length }, options, opened))
  return exports
}

const checkOptions = (count: number, options: ServeOptions): void => {
  const { isWritable, overlays, names, bitmap, isLenient = false, imageSnapshot } = options
  const hasOverlays = overlays.length > 0
  const problems: readonly (readonly [boolean, string])[] = [
    [names.length > count, `${names.length} export names for ${count} disks`],
    [hasOverlays && overlays.length !== count, `${overlays.length} overlays for ${count} disks`],
    [hasOverlays && !isWritable, '--overlay keeps what is written: it goes with --writable'],
    [
      isWritable && bitmap !== undefined,
      'a bitmap does not follow what is written here: --bitmap goes without --writable',
    ],
    [
      isWritable && isLenient && !hasOverlays,
      'a damaged image is not written to: --lenient goes without --writable, or with --overlay',
    ],
    [
      isWritable && imageSnapshot !== undefined,
      'a snapshot is never written to, and an overlay cannot name it: --image-snapshot goes without --writable',
    ],
  ]
  const problem = problems.find(([applies]) => applies)
  if (problem !== undefined) throw new GranaryError('GRANARY_INVALID_ARGUMENT', problem[1])
}

const openExport = async (
  text: string,
  place: { readonly index: number; readonly count: number },
  options: ServeOptions,
  opened: AsyncDisposable[],
): Promise<NbdExport> => {
  const { isWritable, overlays, names, bitmap } = options
  const overlay = overlays[place.index]
  const nameOf = (disk: string): string => names[place.index] ?? (place.count === 1 ? '' : disk)
  if (isWritable && overlay === undefined) {
    const { disk, name, source } = await openWritable(text, options, opened)
    return { name: nameOf(name), description: source, disk, isWritable }
  }
  const base = await openReader(text, { ...options, tuning: STORED_TUNING })
  const isStored = base.source.startsWith('granary:')
  const disk = isStored ? cachedDisk(base.disk, CACHE) : base.disk
  opened.push(disk)
  const { name, source } = base
  if (overlay === undefined) {
    const bitmaps = bitmap === undefined ? {} : { bitmaps: { [bitmap]: disk } }
    const hasAllocationDepth = source.startsWith('qcow2:')
    return { name: nameOf(name), description: source, disk, hasAllocationDepth, ...bitmaps }
  }
  const writable = await openOverlayFile(overlay, { ...base, disk })
  opened.push(writable)
  return { name: nameOf(name), description: source, disk: writable, isWritable }
}

/** Written to as it is, without an overlay. */
const openWritable = async (
  text: string,
  options: ServeOptions,
  opened: AsyncDisposable[],
): Promise<Pick<OpenSource, 'name' | 'source'> & { readonly disk: DiskReader & DiskWriter }> => {
  const keep = <Disk extends AsyncDisposable>(disk: Disk): Disk => {
    opened.push(disk)
    return disk
  }
  const address = parseDiskAddress(text)
  switch (address.kind) {
    case 'raw': {
      await expectNoQemu(address.path)
      return { disk: keep(await openRawWriter(address.path)), ...nameFile(address) }
    }
    case 'qcow2': {
      keep(await lockFile(address.path))
      return { disk: keep(await openImage(address.path, options)), ...nameFile(address) }
    }
    case 'nbd': {
      const disk = keep(await connectNbd(address.uri, { signal: options.signal }))
      return { disk, name: disk.exportName, source: await nbdSource(address.uri) }
    }
    case 'granary':
    case 'stream':
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text} itself is never written to`, {
        detail: { disk: text },
        hint: '--overlay FILE.qcow2 keeps what is written beside it',
      })
  }
}

const nameFile = ({ kind, path }: Extract<DiskAddress, { path: string }>): { name: string; source: string } => ({
  name: diskNameOf(path),
  source: `${kind}:${path}`,
})

const openImage = async (path: string, options: SourceOptions): Promise<DiskReader & DiskWriter> =>
  await openQcow2Writer(await openFileToWrite(path), {
    resolve: resolverFor(path, options),
    location: path,
    workers: 0,
  })
