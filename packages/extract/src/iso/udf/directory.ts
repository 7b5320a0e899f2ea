/**
 * Directories of UDF: file identifiers, one behind the other.
 *
 * @see ECMA-167, 4/14.4
 * @module
 */
import type { Bytes } from '@granary/core'
import { isDirectory } from '../node.ts'
import type { IsoDirectory, IsoFile, IsoNode } from '../node.ts'
import { SECTOR_BYTES } from '../sectors.ts'
import { TAG, compressedUnicode, longAllocation, setTag } from './descriptor.ts'
import { uniqueIdOf } from './file-entry.ts'
import { blockOf } from './volume.ts'

const FIXED_BYTES = 38

/** File characteristics (4/14.4.3). */
const DIRECTORY = 2
const DELETED = 4
const PARENT = 8

/** Bytes of a directory's identifiers. */
export const directoryBytes = ({ children }: IsoDirectory): number =>
  children.reduce(
    (bytes, { names }) => bytes + (names.udf === undefined ? 0 : identifierBytes(compressedUnicode(names.udf))),
    identifierBytes(new Uint8Array(0)),
  )

const identifierBytes = (identifier: Bytes): number => Math.ceil((FIXED_BYTES + identifier.length) / 4) * 4

/** A file whose content was lost keeps its place as a deleted one. */
export const encodeIdentifiers = (directory: IsoDirectory): Bytes => {
  const bytes = new Uint8Array(directory.udf.sizeBytes)
  const writer = { bytes, at: 0, firstBlock: blockOf(directory.udf.sector) }
  const parent = directory.parent ?? directory
  append(writer, { characteristics: DIRECTORY | PARENT, file: parent.file, isRoot: parent.parent === undefined })
  for (const node of directory.children) if (node.names.udf !== undefined) append(writer, rowOf(node, node.names.udf))
  return bytes
}

interface Row {
  readonly characteristics: number
  readonly file: IsoFile
  readonly isRoot: boolean
  readonly name?: string
}

const rowOf = (node: IsoNode, name: string): Row => ({
  characteristics: (isDirectory(node) ? DIRECTORY : 0) | (node.file.isLost ? DELETED : 0),
  file: node.file,
  isRoot: false,
  name,
})

const append = (
  writer: { readonly bytes: Bytes; at: number; readonly firstBlock: number },
  { characteristics, file, isRoot, name }: Row,
): void => {
  const identifier = name === undefined ? new Uint8Array(0) : compressedUnicode(name)
  const length = identifierBytes(identifier)
  const bytes = writer.bytes.subarray(writer.at, writer.at + length)
  new DataView(bytes.buffer, bytes.byteOffset, length).setUint16(16, 1, true) // Version, always 1.
  bytes[18] = characteristics
  bytes[19] = identifier.length
  // A deleted one leads nowhere (UDF 2.3.4.2).
  if (!file.isLost) bytes.set(longAllocation(SECTOR_BYTES, blockOf(file.entrySector), uniqueIdOf(file, isRoot)), 20)
  bytes.set(identifier, FIXED_BYTES)
  setTag(bytes, TAG.fileIdentifier, writer.firstBlock + Math.floor(writer.at / SECTOR_BYTES))
  writer.at += length
}
