/** The images with known content of `../shared/qcow2`, unpacked for one test file. @module */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { DiskReader } from '@granary/core'
import { projectPath, sharedPath } from '@granary/testing'
import { openFileToRead } from '../src/index.ts'
import type { QemuMapEntry, ResolveReference } from '../src/index.ts'

export interface Case {
  readonly case: string
  readonly open: string
  readonly guest_sha256: string | null
  readonly virtual_size: number | null
  readonly err: string | null
  readonly expect: string | null
  readonly check_exit: number | null
}

const archive = sharedPath('qcow2', 'cases.tar.zst')

/** Why the suite cannot run here; false when it can. */
export const noCases = archive === undefined ? '../shared/qcow2 is not on this machine' : false

export interface CaseFolder {
  readonly cases: readonly Case[]
  path(name: string, ...parts: readonly string[]): string
  json<Value>(name: string, file: string): Value
  map(name: string): QemuMapEntry[] | null
  remove(): void
}

/** All of them, from `../shared`. */
export const unpackCases = (): CaseFolder => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-qcow2-'))
  execFileSync('tar', ['--zstd', '-xf', archive as string, '-C', folder])
  return caseFolder(folder, join(folder, 'cases'))
}

/** The smallest of them, which are part of this package. */
export const unpackFixtures = (): CaseFolder => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-qcow2-'))
  cpSync(projectPath('packages', 'qcow2', 'test', 'fixtures'), folder, { recursive: true })
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.gz'))
      writeFileSync(join(folder, name.slice(0, -3)), gunzipSync(readFileSync(join(folder, name))))
  }
  return caseFolder(folder, folder)
}

const caseFolder = (folder: string, root: string): CaseFolder => {
  const path = (...parts: readonly string[]): string => join(root, ...parts)
  const json = <Value>(name: string, file: string): Value => JSON.parse(readFileSync(path(name, file), 'utf8')) as Value
  return {
    cases: readFileSync(path('INDEX.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Case),
    path,
    json,
    map: name => json<{ map?: QemuMapEntry[] | null }>(name, 'expect.json').map ?? null,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** sha256 of the whole content, read in pieces of an odd size, and of zeros up to `paddedBytes`. */
export const sha256Of = async (disk: DiskReader, paddedBytes = 0): Promise<string> => {
  const hash = createHash('sha256')
  const piece = new Uint8Array(300_032)
  for (let at = 0; at < disk.sizeBytes; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, disk.sizeBytes - at))
    await disk.read(at, part)
    hash.update(part)
  }
  if (paddedBytes > disk.sizeBytes) hash.update(new Uint8Array(paddedBytes - disk.sizeBytes))
  return hash.digest('hex')
}

/** A caller that knows better than the image: the names in it are ignored but for their last part. */
export const inFolderOf = (image: string, names: Readonly<Record<string, string>>): ResolveReference => {
  return async ({ kind }) => ({
    file: await openFileToRead(join(dirname(image), names[kind] as string)),
    format: 'raw',
  })
}

export const collect = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}
