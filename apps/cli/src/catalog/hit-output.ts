/** A file that was found, for programs and for people. @module */
import { formatBytes } from '@granary/core'
import type { CatalogHit } from '@granary/catalog'
import { bytesOfName, joinPath } from '@granary/guestfs'
import { displayName } from '../terminal/display-name.ts'
import { formatTime, shortId } from '../snapshot-output.ts'

/** What `--json` prints; fields are only ever added. */
export const hitObject = ({ snapshot, volume, row, id }: CatalogHit): object => {
  const path = joinPath(row.directory, row.name)
  const { type, sizeBytes, mode, uid, gid, modified, created } = row
  return {
    type: 'file',
    v: 1,
    id,
    snapshot: snapshot.snapshot,
    name: snapshot.name,
    snapshotTime: new Date(snapshot.timeMs).toISOString(),
    volume: volume.id,
    path: path.text,
    ...(path.bytes === undefined ? {} : { pathHex: Buffer.from(bytesOfName(path)).toString('hex') }),
    fileType: type,
    size: sizeBytes,
    ...(mode === undefined ? {} : { mode: mode.toString(8).padStart(4, '0') }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(modified === undefined ? {} : { mtime: String(modified) }),
    ...(created === undefined ? {} : { btime: String(created) }),
    address: addressOf(snapshot.snapshot, volume.id, path.text),
  }
}

/** As `granary extract` takes it. */
const addressOf = (snapshot: string, volume: string, path: string): string => `granary:${snapshot}:${volume}:${path}`

export const describeHit = ({ snapshot, volume, row }: CatalogHit): string => {
  const { directory, name, sizeBytes, modified } = row
  const time = modified === undefined ? '-' : formatTime(Number(modified / 1_000_000n))
  const address = addressOf(shortId(snapshot.snapshot), volume.id, displayName(joinPath(directory, name).text))
  return `${formatBytes(sizeBytes).padStart(9)}  ${time.padEnd(19)}  ${address}`
}
