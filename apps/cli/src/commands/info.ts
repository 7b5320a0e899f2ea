import { GranaryError, formatBytes, openRawReader } from '@granary/core'
import { readSnapshot, resolveSnapshotId } from '@granary/dedup-store'
import { connectNbd } from '@granary/nbd'
import { listQcow2Bitmaps, listQcow2Snapshots, openFileToRead, readQcow2Info } from '@granary/qcow2'
import { textArgument } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { parseDiskAddress } from '../disks/disk-address.ts'
import { nbdSource } from '../disks/open-source.ts'
import { openRepositoryOf } from '../open-repository.ts'
import { displayName } from '../terminal/display-name.ts'

export const info: Command = {
  name: 'info',
  summary: 'show what a disk says of itself; no backing or data file is opened',
  arguments: [{ name: '<DISK>', description: 'raw:PATH, qcow2:PATH, granary:ID/DISK, nbd://HOST/EXPORT, or a path' }],
  async run(invocation) {
    const { terminal } = invocation
    const facts = await readFacts(invocation)
    terminal.emit({ type: 'disk', v: 1, ...facts })
    for (const [name, value] of Object.entries(facts)) {
      if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue
      const text =
        name.endsWith('Bytes') && typeof value === 'number'
          ? `${formatBytes(value)} (${value})`
          : typeof value === 'object'
            ? JSON.stringify(value)
            : String(value as string)
      terminal.say(`${name.padEnd(18)} ${displayName(text)}`)
    }
    return 0
  },
}

const readFacts = async (invocation: Invocation): Promise<Record<string, unknown>> => {
  const address = parseDiskAddress(textArgument(invocation, 0))
  switch (address.kind) {
    case 'raw': {
      await using disk = await openRawReader(address.path)
      return { format: 'raw', path: disk.path, kind: disk.kind, sizeBytes: disk.sizeBytes }
    }
    case 'qcow2': {
      const file = await openFileToRead(address.path)
      try {
        const [snapshots, bitmaps] = await Promise.all([listQcow2Snapshots(file), listQcow2Bitmaps(file)])
        const { path } = address
        return { format: 'qcow2', path, fileBytes: file.sizeBytes, ...(await readQcow2Info(file)), snapshots, bitmaps }
      } finally {
        await file[Symbol.asyncDispose]?.()
      }
    }
    case 'nbd': {
      await using disk = await connectNbd(address.uri, { signal: invocation.signal })
      const { sizeBytes, blockBytes, isReadOnly, description, replies, metaContexts } = disk
      const path = await nbdSource(address.uri)
      return { format: 'nbd', path, sizeBytes, blockBytes, isReadOnly, description, replies, metaContexts }
    }
    case 'granary': {
      await using repository = await openRepositoryOf(invocation)
      const id = await resolveSnapshotId(repository.context, address.snapshot)
      const snapshot = await readSnapshot(repository.context, id)
      const disk =
        snapshot.disks.find(record => record.name === address.disk) ??
        (snapshot.disks.length === 1 ? snapshot.disks[0] : undefined)
      if (disk === undefined)
        throw new GranaryError('GRANARY_NOT_FOUND', `snapshot ${id} has no disk "${address.disk ?? ''}"`)
      return {
        format: 'granary',
        snapshot: id,
        disk: disk.name,
        sizeBytes: disk.sizeBytes,
        source: disk.source,
        chunker: disk.chunker,
        ...disk.stats,
      }
    }
    case 'stream':
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'standard input says nothing of itself', {
        hint: 'give a file, a device or granary:ID/DISK',
      })
  }
}
