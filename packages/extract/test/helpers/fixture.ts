/** The small ext4 of guestfs' fixtures, and what the kernel shows of it. @module */
import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'
import { memoryDisk } from '@granary/core'
import { openVolumes } from '@granary/guestfs'
import type { FileTree } from '@granary/guestfs'
import { projectPath } from '@granary/testing'

export interface WantedEntry {
  readonly path: string
  readonly path_hex?: string
  readonly type: string
  readonly ino: number
  readonly size?: number
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly mtime: string
  readonly nlink: number
  readonly sha256?: string
  readonly target?: string
  readonly rdev?: readonly [number, number]
  readonly xattrs?: Readonly<Record<string, unknown>>
}

const unpack = (name: string): Buffer =>
  brotliDecompressSync(readFileSync(projectPath('packages', 'guestfs', 'test', 'fixtures', name)))

export const wantedEntries = (): WantedEntry[] =>
  (JSON.parse(unpack('ext4.json.br').toString()) as { entries: WantedEntry[] }).entries

export const openFixture = async (): Promise<FileTree> => {
  const [volume] = (await openVolumes([memoryDisk(unpack('ext4.img.br'))])).volumes
  if (volume === undefined) throw new Error('the fixture has no volume')
  return await volume.open()
}

export const kernelView = projectPath('packages', 'guestfs', 'test', 'helpers', 'kernel-view.py')
