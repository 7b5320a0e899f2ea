/**
 * Path tables: all directories in the order of their depth.
 *
 * @see ECMA-119, section 9.4
 * @module
 */
import type { Bytes } from '@granary/core'
import { sortedChildren } from './directory-records.ts'
import type { RecordView } from './directory-records.ts'
import { isDirectory } from './node.ts'
import type { IsoDirectory } from './node.ts'

/** Directories in the order of the table (6.9.1): by level, then by their parents' numbers, then by name. Numbers them. */
export const pathTableOrder = (root: IsoDirectory, view: RecordView): readonly IsoDirectory[] => {
  const order = [root]
  for (let i = 0; i < order.length; i++) {
    const directory = order[i] as IsoDirectory
    view.placeOf(directory).number = i + 1
    for (const { node } of sortedChildren(directory, view)) if (isDirectory(node)) order.push(node)
  }
  return order
}

const HEADER_BYTES = 8

export const pathTableBytes = (order: readonly IsoDirectory[], view: RecordView): number =>
  order.reduce((bytes, directory) => bytes + rowBytes(identifierOf(directory, view)), 0)

export const encodePathTable = (order: readonly IsoDirectory[], view: RecordView, isLittleEndian: boolean): Bytes => {
  const table = new Uint8Array(pathTableBytes(order, view))
  const fields = new DataView(table.buffer)
  let at = 0
  for (const directory of order) {
    const identifier = identifierOf(directory, view)
    table[at] = identifier.length
    fields.setUint32(at + 2, view.placeOf(directory).sector, isLittleEndian)
    fields.setUint16(at + 6, view.placeOf(directory.parent ?? directory).number, isLittleEndian)
    table.set(identifier, at + HEADER_BYTES)
    at += rowBytes(identifier)
  }
  return table
}

const identifierOf = (directory: IsoDirectory, view: RecordView): Bytes =>
  (directory.parent === undefined ? undefined : view.identifierOf(directory)) ?? Uint8Array.of(0)

const rowBytes = (identifier: Bytes): number => HEADER_BYTES + identifier.length + (identifier.length % 2)
