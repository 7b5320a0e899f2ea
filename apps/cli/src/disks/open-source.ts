/** Opens what a command reads from. @module */
import { basename, extname } from 'node:path'
import { GranaryError, diskStream, openRawReader } from '@granary/core'
import type { DiskReader, DiskStream } from '@granary/core'
import type { Repository, StoredDiskOptions } from '@granary/dedup-store'
import type { ResolveReference } from '@granary/qcow2'
import type { Terminal } from '../terminal/terminal.ts'
import { parseDiskAddress } from './disk-address.ts'
import type { DiskAddress } from './disk-address.ts'
import { fileIdentity } from './file-identity.ts'
import { resolverFor } from './image-file.ts'
import type { ImageOptions } from './image-file.ts'

/** A disk to read, and what is known of it. */
export interface OpenSource {
  readonly disk: DiskReader | DiskStream
  /** What it is called in a snapshot, when nobody says otherwise. */
  readonly name: string
  /** Where it came from, for people. */
  readonly source: string
  /** Where workers may read it themselves. */
  readonly fileDescriptor?: number
  /** Identities of the files it is read from, and the URI of an export. */
  readonly files: readonly string[]
}

export interface SourceOptions extends ImageOptions {
  readonly terminal: Terminal
  readonly signal: AbortSignal
  /** Opened only when a stored disk is asked for. */
  readonly openRepository: () => Promise<Repository>
  /** How stored disks are opened. */
  readonly tuning?: StoredDiskOptions
  /** The dirty bitmap that extents tell of: of a qcow2 image, or of an NBD export. */
  readonly bitmap?: string | undefined
}

const QCOW2_MAGIC = 0x514649fb

export const openSource = async (text: string, options: SourceOptions): Promise<OpenSource> => {
  const address = parseDiskAddress(text)
  if (options.bitmap !== undefined && address.kind !== 'qcow2' && address.kind !== 'nbd')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text} has no bitmaps`, {
      detail: { disk: text },
      hint: 'qcow2 images and NBD exports have them',
    })
  if (options.imageSnapshot !== undefined && address.kind !== 'qcow2')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text} has no internal snapshots`, {
      detail: { disk: text },
      hint: '--image-snapshot goes with qcow2 images',
    })
  switch (address.kind) {
    case 'nbd':
      return await openNbd(address.uri, options)
    case 'stream':
      return {
        disk: diskStream(options.terminal.streams.stdin as AsyncIterable<Uint8Array>, 'standard input'),
        name: 'disk',
        source: '-',
        files: await standardInputFile(options.terminal),
      }
    case 'raw':
      return await openRaw(address.path, address.isGuess)
    case 'qcow2':
      return await openImage(address.path, options)
    case 'granary':
      return await openStored(address, options)
  }
}

/** As `openSource`, for commands that read at random. @throws GranaryError `GRANARY_INVALID_ARGUMENT` for a stream */
export const openReader = async (
  text: string,
  options: SourceOptions,
): Promise<OpenSource & { readonly disk: DiskReader }> => {
  const source = await openSource(text, options)
  if ('extents' in source.disk) return source as OpenSource & { readonly disk: DiskReader }
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'standard input can only be read from start to end', {
    hint: 'give a file, a device or granary:ID/DISK',
  })
}

/** What a disk in a file is called, when nobody says otherwise. */
export const diskNameOf = (path: string): string => basename(path, extname(path)) || 'disk'

const openRaw = async (path: string, isGuess: boolean): Promise<OpenSource> => {
  const disk = await openRawReader(path)
  try {
    if (isGuess) await refuseDisguised(disk, path)
    const files = [await fileIdentity(disk.fileDescriptor)].filter(file => file !== undefined)
    return { disk, name: diskNameOf(path), source: `raw:${path}`, fileDescriptor: disk.fileDescriptor, files }
  } catch (error) {
    await disk[Symbol.asyncDispose]()
    throw error
  }
}

/** A file called .raw or .img that is a qcow2 image: backing it up as it is would be a surprise at restore. */
const refuseDisguised = async (disk: DiskReader, path: string): Promise<void> => {
  if (disk.sizeBytes < 4) return
  const start = new Uint8Array(4)
  await disk.read(0, start)
  if (new DataView(start.buffer).getUint32(0) !== QCOW2_MAGIC) return
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} is called a raw disk, but begins as a qcow2 image does`, {
    detail: { path },
    hint: `write qcow2:${path} for the disk inside, or raw:${path} for the bytes of the file`,
  })
}

const openImage = async (path: string, options: SourceOptions): Promise<OpenSource> => {
  const { openQcow2File } = await import('@granary/qcow2')
  const { bitmap, isLenient = false, imageSnapshot } = options
  const allowed = resolverFor(path, options)
  const files = [await fileIdentity(path)].filter(file => file !== undefined)
  const resolve: ResolveReference = async reference => {
    const found = await allowed(reference)
    const identity =
      'location' in found && found.location !== undefined ? await fileIdentity(found.location) : undefined
    if (identity !== undefined) files.push(identity)
    return found
  }
  const disk = await openQcow2File(path, {
    resolve,
    lenient: isLenient,
    ...(bitmap === undefined ? {} : { bitmap }),
    ...(imageSnapshot === undefined ? {} : { snapshot: imageSnapshot }),
  })
  return { disk, name: diskNameOf(path), source: `qcow2:${path}`, files }
}

const openNbd = async (uri: string, { signal, bitmap }: SourceOptions): Promise<OpenSource> => {
  const { connectNbd } = await import('@granary/nbd')
  const disk = await connectNbd(uri, { signal, ...(bitmap === undefined ? {} : { bitmap }) })
  const source = await nbdSource(uri)
  return { disk, name: basename(disk.exportName) || 'disk', source, files: [source] }
}

/** One spelling for an export, without what concerns its keys. */
export const nbdSource = async (uri: string): Promise<string> => {
  const { formatNbdUri, parseNbdUri } = await import('@granary/nbd')
  return formatNbdUri(parseNbdUri(uri))
}

/** The file that the shell redirected from, if it is one. */
const standardInputFile = async ({ streams }: Terminal): Promise<readonly string[]> => {
  const { fd } = streams.stdin as { fd?: unknown }
  return typeof fd === 'number' ? [await fileIdentity(fd)].filter(file => file !== undefined) : []
}

const openStored = async (
  { snapshot, disk }: Extract<DiskAddress, { kind: 'granary' }>,
  { openRepository, terminal, signal, tuning = {} }: SourceOptions,
): Promise<OpenSource> => {
  const repository = await openRepository()
  const { openDisk, resolveSnapshotId } = await import('@granary/dedup-store')
  const { readSnapshotToUse } = await import('../doubtful-snapshot.ts')
  const id = await resolveSnapshotId(repository.context, snapshot, { signal })
  await readSnapshotToUse(repository, id, { terminal, signal })
  const stored = await openDisk(repository, id, { signal, ...tuning, ...(disk === undefined ? {} : { disk }) })
  const source = `granary:${id}${disk === undefined ? '' : `/${disk}`}`
  return { disk: stored, name: disk ?? 'disk', source, files: [] }
}
