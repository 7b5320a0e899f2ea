/** The images of ../shared and their manifests. @module */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedPath } from '@granary/testing'
import { fileDisk } from './file-disk.ts'
import type { CountingDisk } from './file-disk.ts'
import type { Manifest } from './manifest.ts'

const hasZstd = spawnSync('zstd', ['--version']).status === 0
const folder = sharedPath('guestfs', 'images')

/** Why tests with these images are left out here, or false. */
export const imagesSkip: string | false =
  folder === undefined ? '../shared/guestfs/images is not here' : hasZstd ? false : 'the program zstd is not here'

export interface ImageRow {
  readonly name: string
  readonly disks: readonly { readonly file: string; readonly size: number }[]
  readonly manifest: string
}

export const imageRows = (): ImageRow[] =>
  imagesSkip === false ? (JSON.parse(readFileSync(join(folder as string, 'index.json'), 'utf8')) as ImageRow[]) : []

/** Unpacked JSON of the images' folder. */
export const readPackedJson = (file: string): unknown =>
  JSON.parse(execFileSync('zstd', ['-dcq', join(folder as string, file)], { maxBuffer: 1 << 30 }).toString())

export const readManifest = (row: ImageRow): Manifest => readPackedJson(row.manifest) as Manifest

export interface UnpackedImage extends AsyncDisposable {
  readonly disks: readonly CountingDisk[]
  readonly folder: string
}

/** Unpacks a packed disk, sparse. Its folder goes when it is disposed of. */
export const unpack = async (files: readonly string[]): Promise<UnpackedImage> => {
  const target = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
  const disks: CountingDisk[] = []
  for (const file of files) {
    const path = join(target, file.replace(/\.zst$/, ''))
    execFileSync('zstd', ['-dq', '--sparse', join(folder as string, file), '-o', path])
    disks.push(await fileDisk(path))
  }
  return {
    disks,
    folder: target,
    async [Symbol.asyncDispose]() {
      for (const disk of disks) await disk[Symbol.asyncDispose]()
      rmSync(target, { recursive: true, force: true })
    },
  }
}
