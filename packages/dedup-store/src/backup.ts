/** Backs disks up into one snapshot, and opens the disks of snapshots. @module */
import { hostname } from 'node:os'
import { GranaryError, mapOrdered } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import type { ChunkerParameters } from '@granary/chunker'
import { parseCompression } from '@granary/transform'
import { RepositoryIndex } from './index/repository-index.ts'
import type { RepositoryIndexOptions } from './index/repository-index.ts'
import { readGcState } from './gc/gc-state.ts'
import { createNodeStore } from './map/node-store.ts'
import { createBlobReader } from './reader/blob-reader.ts'
import { StoredDisk } from './reader/stored-disk.ts'
import type { StoredDiskOptions } from './reader/stored-disk.ts'
import type { Repository } from './repository.ts'
import { createNonce, readDecision } from './sessions/decisions.ts'
import { hexOfId } from './format/ids.ts'
import { mapRootOf } from './sessions/manifest.ts'
import { readPackTrust } from './sessions/pack-trust.ts'
import { readSigners } from './sessions/signers.ts'
import type { BackupKind, DiskRecord, SnapshotManifest } from './sessions/manifest.ts'
import { pinSnapshot } from './sessions/pins.ts'
import { listSnapshots, readSnapshot } from './sessions/snapshots.ts'
import type { Snapshot } from './sessions/snapshots.ts'
import { WriterSession } from './sessions/writer-session.ts'
import { readDamagedPacks } from './sessions/damaged-packs.ts'
import { openDiskParent } from './writer/disk-parent.ts'
import { withDisk } from './writer/disk-input.ts'
import type { DiskInput, OpenedInput } from './writer/disk-input.ts'
import { storeDisk } from './writer/disk-writer.ts'
import type { DiskProgress } from './writer/disk-writer.ts'
import { createPackSink } from './writer/pack-sink.ts'
import { openWindowPool } from './writer/window-pool.ts'

export interface BackupOptions extends AbortOptions {
  /** The series: usually the machine's name. */
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  /** Snapshot to take unchanged windows from: an id, `auto` for the last of the series, `none`. @default 'auto' */
  readonly parent?: string
  /** @default 'incremental' with a parent, else 'full' */
  readonly kind?: BackupKind
  /** @default the repository's */
  readonly chunker?: ChunkerParameters
  /** @default the repository's, such as `zstd:3` */
  readonly compression?: string
  /** Worker threads; 0 works on the caller's thread. @default 1 */
  readonly workers?: number
  /** Disks that are open at once, 1 and more: they share the workers. @default 1 */
  readonly disksAtOnce?: number
  /** Configuration of a machine: with it, there may be no disk at all. */
  readonly machine?: unknown
  readonly warnings?: readonly string[]
  /** Makes this the catalog of that snapshot: hidden from listings, and forgotten with it. It has no parent. */
  readonly catalogOf?: string
  /**
   * Called when all is stored and nothing is committed. What it gives back stands in the manifest instead of the options of
   * these names; what it throws fails the backup.
   */
  readonly beforeCommit?: (
    disks: readonly DiskRecord[],
  ) => Promise<Pick<BackupOptions, 'machine' | 'warnings' | 'labels'>>
  readonly onProgress?: (progress: DiskProgress) => void
}

/**
 * Backs up disks into one snapshot. On a failure nothing is committed; what was stored is used again by the next backup.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when names clash; `GRANARY_FENCED` when the session was fenced meanwhile;
 * what the disks and the storage throw
 */
export const backup = async (
  repository: Repository,
  disks: readonly DiskInput[],
  options: BackupOptions,
): Promise<Snapshot> => {
  checkNames(disks, options)
  const { context, settings } = repository
  const { signal } = options
  await using session = await WriterSession.begin(context, { signal })
  const others = new Set<string>()
  const parent = await chooseParent(repository, options, others)
  const compression = options.compression ?? settings.compression
  const chunker = options.chunker ?? settings.chunker
  const sink = createPackSink(session, 'dataPack', { signal })
  // Nodes and workers number their packs apart: a pack is signed with its name before anybody else hears of it.
  const workers = options.workers ?? 1
  const step = 1 + Math.max(1, workers)
  const nodes = createNodeStore(session, { numbers: { first: step - 1, step }, signal })
  const setup = {
    chunker,
    chunkerSecret: context.keys.chunker,
    chunkIdKey: context.keys.chunkId,
    compression: parseCompression(compression),
    seal: session.sealOf('dataPack'),
    numbers: { first: 0, step },
  }
  try {
    await using pool = await openWindowPool(
      setup,
      {
        claim: async ids => await claimAll(session, ids, { signal }),
        emit: async (lane, piece) => await sink.emit(lane, piece),
      },
      workers,
    )
    const blobs = createBlobReader(context.backend, context.keys, session.readable)
    const { onProgress, disksAtOnce = 1 } = options
    const hasDamage = (await readDamagedPacks(context, { signal })).size > 0
    const storeOne = async (input: DiskInput, diskSignal: AbortSignal): Promise<DiskRecord | undefined> => {
      const baseName = input.base === undefined ? input.name : input.base
      const record = parent?.disks.find(({ name }) => name === baseName)
      const base = record === undefined ? undefined : openDiskParent(record, { session, blobs, hasDamage })
      const store = async (opened: OpenedInput): Promise<DiskRecord> =>
        await storeDisk({ pool, nodes }, opened, { chunker, parent: base, onProgress, signal: diskSignal })
      return await withDisk(input, store, { signal: diskSignal })
    }
    const records: DiskRecord[] = []
    for await (const record of mapOrdered(disks, storeOne, { concurrency: disksAtOnce, signal }))
      if (record !== undefined) records.push(record)
    await pool.finish()
    await nodes.finish()
    const last = await options.beforeCommit?.(records)
    const manifest = await composeManifest(repository, {
      disks: records,
      parent,
      compression,
      options: { ...options, ...last },
      others,
    })
    const signers = await readSigners(context, { signal }) // Nothing may fail once it is committed.
    const { hash, signer } = await session.commit(manifest, { signal })
    return { ...manifest, id: session.sid, hash, signer, signedBy: signers.judge(signer, session.sid) }
  } catch (error) {
    await Promise.all([sink.abandon(error), nodes.abandon(error)])
    throw error
  }
}

/** @returns for each of the ids that stand one behind the other 1 when it must be stored, else 0 */
const claimAll = async (session: WriterSession, ids: Bytes, options: AbortOptions): Promise<Bytes> => {
  const isUnknown = new Uint8Array(ids.length / 32)
  for (let i = 0; i < isUnknown.length; i++) {
    const known = await session.claim(ids.subarray(i * 32, (i + 1) * 32), 'dataPack', options)
    isUnknown[i] = known === 'unknown' ? 1 : 0
  }
  return isUnknown
}

const checkNames = (disks: readonly DiskInput[], { machine, beforeCommit }: BackupOptions): void => {
  const names = new Set(disks.map(disk => disk.name))
  const isMachine = machine !== undefined || beforeCommit !== undefined
  if (
    (disks.length > 0 || isMachine) &&
    names.size === disks.length &&
    [...names].every(name => /^[^/\s][^/]{0,199}$/.test(name))
  )
    return
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    'expected at least one disk, each with a name of its own without "/"',
    {
      detail: { names: [...names].join(', ') },
      hint: 'give every disk a name of its own',
    },
  )
}

/**
 * The parent must be committed and unforgotten now, that is, after the session was announced. What it says of unchanged windows
 * is taken on trust, so only a key holder's will do, or one of whoever signs this one.
 */
const chooseParent = async (
  { context }: Repository,
  { parent = 'auto', name, catalogOf, signal }: BackupOptions,
  others: Set<string>,
): Promise<Snapshot | undefined> => {
  if (parent === 'none' || catalogOf !== undefined) return undefined
  const own = hexOfId(context.keys.signer.publicKey)
  const isGood = ({ signer, signedBy }: Snapshot): boolean =>
    signedBy.isVerified && (signedBy.kind === 'holder' || signer === own)
  if (parent === 'auto') return await lastOfSeries(context, { name, signal, others }, isGood)
  const chosen = await readSnapshot(context, parent, { signal })
  if (isGood(chosen)) return chosen
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `snapshot ${parent} is by ${chosen.signedBy.name ?? 'an unknown signer'}`,
    {
      detail: { parent, signer: chosen.signer },
      hint: 'build on a snapshot made with the repository’s key, or on none: `--parent none`',
    },
  )
}

const composeManifest = async (
  { context, settings }: Repository,
  {
    disks,
    parent,
    compression,
    options,
    others,
  }: {
    disks: readonly DiskRecord[]
    parent: Snapshot | undefined
    compression: string
    options: BackupOptions
    others: Set<string>
  },
): Promise<SnapshotManifest> => {
  const { name, labels = {}, machine, warnings = [], catalogOf } = options
  const last = await lastOfSeries(context, { ...options, others }, ({ signedBy }) => signedBy.isVerified)
  return {
    kind: 'snapshot',
    nonce: createNonce(),
    name,
    timeMs: context.clock.now(),
    host: hostname(),
    labels,
    backupKind: options.kind ?? (parent === undefined ? 'full' : 'incremental'),
    parent: parent?.id ?? null,
    prev: last === undefined ? null : { sid: last.id, hash: last.hash },
    suite: settings.suite,
    compression,
    disks,
    ...(machine === undefined ? {} : { machine }),
    warnings,
    ...(catalogOf === undefined ? {} : { catalogOf }),
  }
}

/**
 * The last good snapshot of a series. A catalog is in no series.
 *
 * @param others gathers what is in other series, which is not read again
 */
const lastOfSeries = async (
  context: Repository['context'],
  { name, catalogOf, signal, others }: BackupOptions & { readonly others: Set<string> },
  isGood: (snapshot: Snapshot) => boolean,
): Promise<Snapshot | undefined> => {
  if (catalogOf !== undefined) return undefined
  const skips = (sid: string): boolean => others.has(sid)
  const snapshots = await listSnapshots(context, { signal, skips, onDamaged: ignoreDamaged })
  for (const snapshot of snapshots) if (snapshot.name !== name) others.add(snapshot.id)
  return snapshots.findLast(snapshot => snapshot.name === name && isGood(snapshot))
}

export interface OpenDiskOptions extends StoredDiskOptions, AbortOptions {
  /** Name of the disk. @default the only one */
  readonly disk?: string
}

/**
 * Opens a disk of a snapshot. The snapshot is pinned until the disk is closed: forgetting and collecting don't touch it.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such snapshot or disk, or a choice is needed
 */
export const openDisk = async (
  repository: Repository,
  snapshotId: string,
  options: OpenDiskOptions = {},
): Promise<StoredDisk> => {
  const { context } = repository
  const { signal } = options
  const pin = await pinSnapshot(context, snapshotId, { signal })
  try {
    const record = chooseDisk(pin.snapshot, options.disk)
    const index = await openIndex(repository, { signal, onDamage: 'search' })
    const blobs = createBlobReader(context.backend, context.keys, index)
    const close = async (): Promise<void> => await pin[Symbol.asyncDispose]()
    return new StoredDisk(mapRootOf(record), { blobs, chunkIdKey: context.keys.chunkId, close }, options)
  } catch (error) {
    await pin[Symbol.asyncDispose]()
    throw error
  }
}

/** The index as readers see it: packs under an undecided tomb still count, deleted ones don't. */
export const openIndex = async (
  { context }: Repository,
  { onDamage = 'fail', ...options }: AbortOptions & Pick<RepositoryIndexOptions, 'onDamage'> = {},
): Promise<RepositoryIndex> => {
  const { deleted } = await readGcState(context, options)
  const isTrusted = await readPackTrust(context, options)
  return await RepositoryIndex.load(
    context.backend,
    context.keys,
    {
      isExcluded: key => deleted.has(key),
      isTrusted,
      isCommitted: async sid => (await readDecision(context, sid))?.kind === 'manifest',
      onDamage,
      ...(context.indexCacheBytes === undefined ? {} : { cacheBytes: context.indexCacheBytes }),
    },
    options,
  )
}

const chooseDisk = (snapshot: Snapshot, name: string | undefined): DiskRecord => {
  const names = snapshot.disks.map(disk => disk.name)
  const record =
    name === undefined && names.length === 1 ? snapshot.disks[0] : snapshot.disks.find(disk => disk.name === name)
  if (record !== undefined) return record
  throw new GranaryError(
    'GRANARY_NOT_FOUND',
    name === undefined
      ? `snapshot ${snapshot.id} has ${names.length} disks`
      : `snapshot ${snapshot.id} has no disk "${name}"`,
    { detail: { snapshot: snapshot.id, disks: names.join(', ') }, hint: `choose one of: ${names.join(', ')}` },
  )
}

/** A damaged manifest of another snapshot is `check`'s concern: it must not keep new backups from being made. */
const ignoreDamaged = (): void => undefined
