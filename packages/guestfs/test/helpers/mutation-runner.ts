/**
 * Reads damaged images one after the other, in a process of its own, and says after each how it went: a line of JSON
 * with the outcome, the CPU time and the largest memory so far. Arguments: a JSON file of `MutationJob`.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { openVolumes } from '../../src/index.ts'
import type { FileTree } from '../../src/index.ts'
import { damagedDisk, fileDisk } from './file-disk.ts'
import { damageOf } from './mutation.ts'
import type { Mutation, MutationJob, MutationResult } from './mutation.ts'

/** Of each file's data at most this much is read: the test is about ends, not about content. */
const READ_BYTES = 256 * 1024
const MAX_EXTENTS = 10_000

const readTree = async (tree: FileTree, note: (error: unknown) => void): Promise<number> => {
  let files = 0
  for await (const item of tree.walk()) {
    if (item.kind === 'error') {
      note(item.error)
      continue
    }
    files++
    try {
      await tree.xattrs(item.node)
      if (item.stat.type === 'symlink') await tree.readlink(item.node)
      if (item.stat.type === 'file') await readSome(tree, item.node)
    } catch (error) {
      note(error)
    }
  }
  return files
}

const readSome = async (tree: FileTree, node: Parameters<FileTree['open']>[0]): Promise<void> => {
  const file = await tree.open(node)
  let left = READ_BYTES
  let extents = 0
  for await (const { kind, offset, length } of file.extents()) {
    if (++extents > MAX_EXTENTS || left <= 0) return
    if (kind !== 'data') continue
    const part = new Uint8Array(Math.min(length, left))
    await file.read(offset, part)
    left -= part.length
  }
}

const run = async (job: MutationJob, mutation: Mutation): Promise<MutationResult> => {
  const before = process.cpuUsage()
  const findings = new Set<string>()
  const defects = new Set<string>()
  let files = 0
  const note = (error: unknown): void => {
    const isOurs = error instanceof Error && error.name === 'GranaryError'
    const text = isOurs ? error.message : String(error instanceof Error ? error.stack : error)
    ;(isOurs ? findings : defects).add(text)
  }
  const opened = await Promise.all(job.disks.map(fileDisk))
  const disks = opened.map((disk, index) => (index === job.damaged ? damagedDisk(disk, damageOf(mutation)) : disk))
  try {
    await using set = await openVolumes(disks)
    for (const volume of set.volumes) {
      if (volume.whyNot !== undefined) findings.add(`${volume.id}: ${volume.whyNot.message}`)
      if (volume.whyNot !== undefined) continue
      try {
        await using tree = await volume.open()
        files += await readTree(tree, note)
        for (const { where, message } of tree.warnings) findings.add(`${where}: ${message}`)
      } catch (error) {
        note(error)
      }
    }
    for (const { where, message } of set.warnings) findings.add(`${where}: ${message}`)
  } catch (error) {
    note(error)
  }
  for (const disk of opened) await disk[Symbol.asyncDispose]()
  const { user, system } = process.cpuUsage(before)
  return {
    name: mutation.name,
    findings: [...findings].slice(0, 5),
    defects: [...defects].slice(0, 5),
    files,
    cpuMs: Math.round((user + system) / 1000),
    maxRssMib: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}

const job = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as MutationJob
for (const mutation of job.mutations) process.stdout.write(`${JSON.stringify(await run(job, mutation))}\n`)
