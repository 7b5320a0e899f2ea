/** Records which files are on a snapshot's disks. @module */
import { GranaryError, diskStream, isGranaryError } from '@granary/core'
import type { AbortOptions, DiskReader } from '@granary/core'
import { backup, forgetSnapshot, listCatalogs, openDisk, readSnapshot } from '@granary/dedup-store'
import type { CatalogSnapshot, Repository } from '@granary/dedup-store'
import { bytesOfName, openVolumes } from '@granary/guestfs'
import type { CodePage, FileTree, OpenVolumesOptions, Name, Volume, WalkItem } from '@granary/guestfs'
import { encodePage } from './format/page.ts'
import { paginate } from './format/paginate.ts'
import { MAX_PATH_BYTES } from './format/row.ts'
import type { CatalogRow } from './format/row.ts'
import { encodeCatalog } from './format/stream.ts'
import type { CatalogCounts, CatalogRecord, CatalogVolume, CatalogWarning } from './format/stream.ts'

/** Damage elsewhere is the check's concern. */
const ignore = (): void => undefined

/** Name of a catalog's disk. */
export const CATALOG_DISK = '.catalog'

/** Small, for a file that changed touches a few rows: what is stored again is the chunks around them. */
const CHUNKER = { strategy: 'fastcdc', minBytes: 4096, averageBytes: 16_384, maxBytes: 65_536 } as const

/** Warnings kept of one catalog; the others are counted. */
const MAX_WARNINGS = 1000

/** Characters of a warning's path that are kept. */
const MAX_WHERE = 4096

export interface CatalogProgress {
  readonly volume: string
  /** Files and directories so far. */
  readonly rows: number
}

export interface RecordCatalogOptions extends AbortOptions {
  /** Walk read-only btrfs snapshots, too. @default false */
  readonly snapshots?: boolean
  /** Of short names on FAT. @default 'cp437' */
  readonly codePage?: CodePage
  /** Keys of encrypted volumes. */
  readonly unlock?: Omit<OpenVolumesOptions, 'signal'>
  /** After this long it gives up, and nothing is recorded. @default none */
  readonly timeoutMs?: number
  /** Called after each page. */
  readonly onProgress?: (progress: CatalogProgress) => void
}

export interface RecordedCatalog extends CatalogCounts {
  /** The snapshot that the catalog is. */
  readonly catalog: CatalogSnapshot
  /** The first thousand. */
  readonly kept: readonly CatalogWarning[]
  /** What it added to the repository, bytes. */
  readonly storedBytes: number
}

/**
 * Makes the catalog of a snapshot, reading its disks from the repository; an older catalog of it is forgotten afterwards.
 * Volumes and directories that can't be read are warnings in it.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such snapshot, `GRANARY_TIMEOUT` when time is up; what
 * storing and reading the repository throw
 */
export const recordCatalog = async (
  repository: Repository,
  snapshotId: string,
  options: RecordCatalogOptions = {},
): Promise<RecordedCatalog> => {
  const { timeoutMs } = options
  if (timeoutMs === undefined) return await record(repository, snapshotId, options)
  const limit = AbortSignal.timeout(timeoutMs)
  const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit])
  try {
    return await record(repository, snapshotId, { ...options, signal })
  } catch (error) {
    if (limit.aborted && options.signal?.aborted !== true) throw timeUp(snapshotId, timeoutMs)
    throw error
  }
}

const record = async (
  repository: Repository,
  snapshotId: string,
  options: RecordCatalogOptions,
): Promise<RecordedCatalog> => {
  const { context } = repository
  const { signal } = options
  const { name, disks } = await readSnapshot(context, snapshotId, { signal })
  const older = (await listCatalogs(context, { signal, onDamaged: ignore })).filter(
    ({ catalogOf }) => catalogOf === snapshotId,
  )
  const work: Work = { options, warnings: [], counts: { rows: 0, pages: 0, warnings: 0 } }
  const opened: DiskReader[] = []
  try {
    for (const disk of disks) opened.push(await openDisk(repository, snapshotId, { disk: disk.name, signal }))
    const stream = diskStream(encodeCatalog(recordsOf(opened, work)), 'catalog')
    const catalog = await backup(repository, [{ name: CATALOG_DISK, source: snapshotId, disk: stream }], {
      name,
      catalogOf: snapshotId,
      chunker: CHUNKER,
      signal,
    })
    for (const { id } of older) await forgetSnapshot(context, id, { signal })
    const storedBytes = catalog.disks.reduce((bytes, { stats }) => bytes + stats.storedBytes, 0)
    return { ...work.counts, catalog: { ...catalog, catalogOf: snapshotId }, kept: work.warnings, storedBytes }
  } finally {
    for (const disk of opened) await disk[Symbol.asyncDispose]()
  }
}

interface Work {
  readonly options: RecordCatalogOptions
  readonly warnings: CatalogWarning[]
  readonly counts: { rows: number; pages: number; warnings: number }
}

async function* recordsOf(disks: readonly DiskReader[], work: Work): AsyncGenerator<CatalogRecord, void, undefined> {
  const { signal, unlock } = work.options
  await using set = await openVolumes(disks, { ...unlock, signal })
  for (const { where, message } of set.warnings) warn(work, { where, message })
  for (const volume of set.volumes) yield* volumeRecords(volume, work)
  for (const warning of work.warnings) yield { kind: 'warning', warning }
  yield { kind: 'end', counts: { ...work.counts } }
}

async function* volumeRecords(volume: Volume, work: Work): AsyncGenerator<CatalogRecord, void, undefined> {
  const { id, whyNot } = volume
  const tree = whyNot === undefined ? await openTree(volume, work) : undefined
  const reason = whyNot?.message ?? (tree === undefined ? work.warnings.at(-1)?.message : undefined)
  yield { kind: 'volume', volume: describeVolume(volume, reason) }
  if (whyNot !== undefined && !HARMLESS.has(whyNot.reason))
    warn(work, { volume: id, where: id, message: whyNot.message })
  if (tree === undefined) return
  await using open = tree
  for await (const rows of paginate(rowsOf(open, id, work))) {
    work.counts.rows += rows.length
    work.counts.pages++
    yield { kind: 'page', page: encodePage(rows) }
    work.options.onProgress?.({ volume: id, rows: work.counts.rows })
  }
  for (const { where, message } of open.warnings) warn(work, { volume: id, where, message })
}

const describeVolume = (
  { id, content, label, uuid, sizeBytes }: Volume,
  whyNot: string | undefined,
): CatalogVolume => ({
  id,
  ...(content === undefined ? {} : { content }),
  ...(label === undefined ? {} : { label }),
  ...(uuid === undefined ? {} : { uuid }),
  sizeBytes,
  ...(whyNot === undefined ? {} : { whyNot }),
})

/** Nothing is lost by not listing these. */
const HARMLESS: ReadonlySet<string> = new Set(['empty', 'swap', 'member'])

/** A volume that doesn't open is a warning. */
const openTree = async (volume: Volume, work: Work): Promise<FileTree | undefined> => {
  const { signal, codePage } = work.options
  try {
    return await volume.open({ signal, ...(codePage === undefined ? {} : { codePage }) })
  } catch (error) {
    signal?.throwIfAborted()
    if (!isOfGuest(error)) throw error
    warn(work, { volume: volume.id, where: volume.id, message: messageOf(error) })
    return undefined
  }
}

async function* rowsOf(tree: FileTree, volume: string, work: Work): AsyncGenerator<CatalogRow, void, undefined> {
  const { signal, snapshots = false } = work.options
  for await (const item of tree.walk({ signal, snapshots })) {
    if (item.kind === 'entry') {
      const { length } = bytesOfName(item.path)
      if (length <= MAX_PATH_BYTES) yield rowOfItem(item)
      else warn(work, { volume, where: item.path.text, message: `a path of ${length} bytes, longer than is recorded` })
    } else if (isOfGuest(item.error)) warn(work, { volume, where: item.path.text, message: messageOf(item.error) })
    else throw item.error
  }
}

const rowOfItem = ({ path, stat }: Extract<WalkItem, { kind: 'entry' }>): CatalogRow => {
  const { mode, uid, gid, mtime, btime } = stat
  return {
    ...splitLast(path),
    type: stat.type,
    sizeBytes: stat.sizeBytes,
    ...(mode === undefined ? {} : { mode }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(mtime === undefined ? {} : { modified: mtime }),
    ...(btime === undefined ? {} : { created: btime }),
  }
}

/** The directory and the name in it; the root is in no directory and has no name. */
const splitLast = ({ text, bytes }: Name): { directory: Name; name: Name } => {
  const at = text.lastIndexOf('/')
  const [directory, name] = [{ text: text.slice(0, at) }, { text: text.slice(at + 1) }]
  if (bytes === undefined) return { directory, name }
  const slash = bytes.lastIndexOf(0x2f)
  return {
    directory: exactName(directory.text, bytes.slice(0, slash)),
    name: exactName(name.text, bytes.slice(slash + 1)),
  }
}

/** Bytes are kept only where the text doesn't say the same. */
const exactName = (text: string, bytes: Uint8Array<ArrayBuffer>): Name =>
  Buffer.from(text).equals(bytes) ? { text } : { text, bytes }

const warn = ({ warnings, counts }: Work, warning: CatalogWarning): void => {
  counts.warnings++
  const { where } = warning
  const shown = where.length > MAX_WHERE ? `${where.slice(0, MAX_WHERE)}…` : where
  if (warnings.length < MAX_WARNINGS) warnings.push({ ...warning, where: shown })
}

/** What the guest's disks are like is a warning; a repository that can't be read now is a failure: later it may be read. */
const isOfGuest = (error: unknown): boolean => isGranaryError(error) && GUEST_CODES.has(error.code)

const GUEST_CODES: ReadonlySet<string> = new Set([
  'GRANARY_CORRUPT',
  'GRANARY_UNSUPPORTED',
  'GRANARY_LIMIT',
  'GRANARY_NOT_FOUND',
  'GRANARY_INVALID_ARGUMENT',
])

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const timeUp = (snapshot: string, timeoutMs: number): GranaryError =>
  new GranaryError('GRANARY_TIMEOUT', `the files of snapshot ${snapshot} were not listed in ${timeoutMs / 1000} s`, {
    detail: { snapshot, timeoutMs },
    retryable: true,
    hint: 'the backup itself is whole; list its files later with `granary catalog add`',
  })
