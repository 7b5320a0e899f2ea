/** Opens an NTFS file system. @module */
import type { AbortOptions, DiskReader } from '@granary/core'
import { CachedDisk } from '../../disk/cached-disk.ts'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt, notFound, unsupported } from '../../errors.ts'
import { findFolded } from '../../find-folded.ts'
import { Fields } from '../../format/fields.ts'
import { nameOfUtf16 } from '../../format/names.ts'
import { treeOf } from '../../tree-of.ts'
import type { FileSystem, FileTree, OpenFileOptions, Stat } from '../../tree.ts'
import { WarningLog } from '../../warnings.ts'
import { attributeContent } from './attribute-content.ts'
import { readBootSector } from './boot-sector.ts'
import { compactContent } from './compact.ts'
import { listDirectory } from './directory.ts'
import type { NtfsNode } from './directory.ts'
import { TYPE, findAttribute, openTable, readFileRecord } from './record.ts'
import type { FileRecord, Ntfs } from './record.ts'
import { compactAlgorithm, linkTarget, reparseOf, reparseType, unreadable } from './reparse.ts'

const ROOT = 5
const VOLUME = 3
const COMPACT_STREAM = 'WofCompressedData'
const DIRTY = 0x1
const DOS_NAMESPACE = 2
const DIRECTORY_ATTRIBUTE = 0x10
const EFS_ATTRIBUTE = 0x4000

/** Hundreds of nanoseconds from 1601 to 1970. */
const EPOCH = 116_444_736_000_000_000n

/** @throws GranaryError `GRANARY_CORRUPT` */
export const openNtfs = async (disk: DiskReader, options: AbortOptions): Promise<FileTree> => {
  const warnings = new WarningLog()
  const ntfs = await mountNtfs(disk, warnings, options)
  await warnAboutState(ntfs, options)
  const recordOf = async (node: NtfsNode, abort: AbortOptions): Promise<FileRecord> => {
    const record = await readFileRecord(ntfs, node.ino, abort)
    if (node.sequence !== 0 && record.sequence !== node.sequence)
      throw corrupt(`file record ${node.ino}`, `sequence ${node.sequence}`, record.sequence)
    return record
  }
  const fileSystem: FileSystem<NtfsNode> = {
    name: 'ntfs',
    root: { ino: ROOT, sequence: 0 },
    async *list(dir, abort) {
      yield* listDirectory(ntfs, await recordOf(dir, abort), abort)
    },
    stat: async (node, abort) => statOf(await recordOf(node, abort)),
    content: async (file, _stat, abort) => contentOf(ntfs, await recordOf(file, abort), abort),
    async readlink(link, abort) {
      const record = await recordOf(link, abort)
      const reparse = reparseOf(record)
      if (reparse === undefined) throw corrupt(`file record ${record.number}`, 'a link', 'none')
      return linkTarget(reparse)
    },
    async streams(node, abort) {
      const { attributes } = await recordOf(node, abort)
      return attributes
        .filter(({ type, name }) => type === TYPE.data && name !== '' && name !== COMPACT_STREAM)
        .map(({ name, sizeBytes }) => ({ name: { text: name }, sizeBytes }))
    },
    find: async (dir, name, abort) => await findFolded(fileSystem.list(dir, abort), name),
    dispose: async () => await ntfs.disk[Symbol.asyncDispose](),
  }
  await fileSystem.stat(fileSystem.root, options)
  return treeOf(fileSystem, warnings)
}

export const mountNtfs = async (disk: DiskReader, warnings: WarningLog, options: AbortOptions): Promise<Ntfs> => {
  const cached = disk instanceof CachedDisk ? disk : new CachedDisk(disk)
  const boot = readBootSector(await cached.bytes(0, 512, 'NTFS boot sector', options))
  if (boot.totalBytes > disk.sizeBytes)
    warnings.add('NTFS boot sector', `the file system has ${boot.totalBytes} bytes, its volume only ${disk.sizeBytes}`)
  const empty = mappedDisk({ sizeBytes: 0, blockBytes: 1, where: '$MFT', locate: () => ({ kind: 'hole', length: 1 }) })
  const ntfs: Ntfs = { ...boot, disk: cached, warnings, table: empty, records: new Map() }
  await openTable(ntfs, boot.tableOffset, boot.mirrorOffset, options)
  return ntfs
}

export const volumeLabel = async (ntfs: Ntfs, options: AbortOptions): Promise<string> => {
  const value = findAttribute(await readFileRecord(ntfs, VOLUME, options), TYPE.volumeName)?.value
  return value === undefined ? '' : nameOfUtf16(value).text
}

const warnAboutState = async (ntfs: Ntfs, options: AbortOptions): Promise<void> => {
  try {
    const value = findAttribute(await readFileRecord(ntfs, VOLUME, options), TYPE.volumeInformation)?.value
    if (value !== undefined && (new Fields(value, '$Volume').u16(10) & DIRTY) !== 0)
      ntfs.warnings.add(
        '$Volume',
        'it is marked dirty: its log is not replayed, and the newest changes may be missing or half done',
      )
    await warnAboutHibernation(ntfs, options)
  } catch (error) {
    options.signal?.throwIfAborted()
    ntfs.warnings.addError('$Volume', error)
  }
}

const warnAboutHibernation = async (ntfs: Ntfs, options: AbortOptions): Promise<void> => {
  const root = await readFileRecord(ntfs, ROOT, options)
  for await (const { name, node } of listDirectory(ntfs, root, options)) {
    if (name.text.toLowerCase() !== 'hiberfil.sys') continue
    const data = findAttribute(await readFileRecord(ntfs, node.ino, options), TYPE.data)
    if (data === undefined || data.sizeBytes < 4) return
    const magic = new Uint8Array(4)
    await attributeContent(ntfs, data, 'hiberfil.sys').read(0, magic, options)
    if (Buffer.from(magic).toString('latin1').toLowerCase() === 'hibr')
      ntfs.warnings.add(
        'hiberfil.sys',
        'Windows is hibernated (fast startup does that too): what it keeps in memory is not on the disk',
      )
    return
  }
}

const timeOf = (fields: Fields, offset: number): bigint => (fields.bigSigned64(offset) - EPOCH) * 100n

const statOf = (record: FileRecord): Stat => {
  const value = findAttribute(record, TYPE.standardInformation)?.value
  if (value === undefined) throw corrupt(`file record ${record.number}`, 'its standard information', 'none')
  const information = new Fields(value, `file record ${record.number}, standard information`)
  const reparse = reparseOf(record)
  const type = (reparse && reparseType(reparse)) ?? (record.isDirectory ? 'dir' : 'file')
  const data = findAttribute(record, TYPE.data)
  const names = record.attributes.filter(
    attribute => attribute.type === TYPE.fileName && attribute.value?.[65] !== DOS_NAMESPACE,
  )
  // That it is a directory stands in the record; Windows shows it among the attributes.
  const dosAttributes = information.u32(32) | (record.isDirectory ? DIRECTORY_ATTRIBUTE : 0)
  return {
    type,
    ino: record.number,
    sizeBytes:
      type === 'symlink' && reparse !== undefined
        ? Buffer.byteLength(linkTarget(reparse).text)
        : (data?.sizeBytes ?? 0),
    allocatedBytes: data?.runs === undefined ? 0 : data.allocatedBytes,
    nlink: Math.max(names.length, 1),
    btime: timeOf(information, 0),
    mtime: timeOf(information, 8),
    ctime: timeOf(information, 16),
    atime: timeOf(information, 24),
    dosAttributes,
    ...((dosAttributes & EFS_ATTRIBUTE) !== 0 && type === 'file' ? { isEncrypted: true as const } : {}),
  }
}

const contentOf = (ntfs: Ntfs, record: FileRecord, { stream }: OpenFileOptions): DiskReader => {
  const where = `file record ${record.number}`
  const data = findAttribute(record, TYPE.data, stream ?? '')
  if (stream !== undefined) {
    if (data === undefined) throw notFound(`stream ${stream} of ${where}`)
    return attributeContent(ntfs, data, `${where}, stream ${stream}`)
  }
  const reparse = reparseOf(record)
  const reason = reparse && unreadable(reparse)
  if (reason !== undefined) throw unsupported(where, reason)
  if (data === undefined) throw corrupt(where, 'content', 'none')
  const algorithm = reparse && compactAlgorithm(reparse)
  if (algorithm === undefined) return attributeContent(ntfs, data, where)
  const packed = findAttribute(record, TYPE.data, COMPACT_STREAM)
  if (packed === undefined) throw corrupt(where, `the stream ${COMPACT_STREAM}`, 'none')
  return compactContent(attributeContent(ntfs, packed, where), data.sizeBytes, algorithm, where)
}
