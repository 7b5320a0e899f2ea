/** A machine to a folder, without an engine: one file a disk, and its configuration. @module */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, formatBytes, fromSystemError } from '@granary/core'
import type { ReadableSource } from '@granary/ovirt-adapter'
import { isGiven, listOption, textOption } from '../command.ts'
import type { Invocation } from '../command.ts'
import { writeTarget } from '../disks/write-target.ts'
import { startProgress } from '../terminal/progress-line.ts'
import { loadAdapter } from './open-ovirt.ts'

/** Secrets go along only where that was asked for. */
export const restoreToFolder = async (
  invocation: Invocation,
  source: ReadableSource,
  folder: string,
): Promise<void> => {
  const format = textOption(invocation, 'format') ?? 'raw'
  if (format !== 'raw' && format !== 'qcow2')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--format ${format}: expected raw or qcow2`)
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw fromSystemError(error, `making the folder ${folder}`)
  })
  for (const name of wantedDisks(invocation, source))
    await writeDisk(invocation, source, { name, path: join(folder, `${encodeURIComponent(name)}.${format}`), format })
  await writeConfiguration(invocation, source, folder)
}

const wantedDisks = (invocation: Invocation, { record, disks }: ReadableSource): string[] => {
  const asked = listOption(invocation, 'disk')
  const excluded = listOption(invocation, 'excludeDisk')
  const isNamed = (name: string, names: readonly string[]): boolean => {
    const known = record.disks.find(disk => disk.name === name)
    return [name, known?.alias, known?.id].some(text => text !== undefined && names.includes(text))
  }
  const names = disks.map(({ name }) => name)
  const missing = [...asked, ...excluded].find(text => !names.some(name => isNamed(name, [text])))
  if (missing !== undefined)
    throw new GranaryError('GRANARY_NOT_FOUND', `there is no disk "${missing}"; there are ${names.join(', ')}`)
  return names.filter(name => (asked.length === 0 || isNamed(name, asked)) && !isNamed(name, excluded))
}

const writeDisk = async (
  { terminal, signal }: Invocation,
  source: ReadableSource,
  { name, path, format }: { readonly name: string; readonly path: string; readonly format: 'raw' | 'qcow2' },
): Promise<void> => {
  await using disk = await source.openDisk(name, { signal })
  const progress = startProgress(terminal)
  const counts = await writeTarget(disk, `${format}:${path}`, {
    terminal,
    signal,
    overwriteDifferent: false,
    onProgress: ({ doneBytes, totalBytes, limitedBy }) =>
      progress.show({ what: name, doneBytes, totalBytes, limitedBy }),
  }).finally(() => progress.end())
  const { sizeBytes } = disk
  terminal.emit({ type: 'restored', v: 1, snapshot: source.snapshotId, disk: name, target: path, sizeBytes, ...counts })
  terminal.say(`${name} to ${path}: ${formatBytes(sizeBytes)}, ${formatBytes(counts.writtenBytes)} written`)
}

const writeConfiguration = async (invocation: Invocation, source: ReadableSource, folder: string): Promise<void> => {
  const { joinOvfSecrets } = await loadAdapter()
  const withSecrets = isGiven(invocation, 'withSecrets')
  const { secrets, tracking: _, ...shown } = source.record
  const files: [string, string][] = [
    ['machine.json', `${JSON.stringify(withSecrets ? { ...shown, secrets } : shown, undefined, 2)}\n`],
  ]
  const { ovf } = source.record
  if (ovf !== undefined)
    files.push(['machine.ovf', withSecrets ? joinOvfSecrets({ xml: ovf, secrets: secrets?.ovf ?? [] }) : ovf])
  for (const [name, text] of files) {
    const path = join(folder, name)
    await writeFile(path, text, { flag: 'wx', mode: 0o600, signal: invocation.signal }).catch((error: unknown) => {
      throw fromSystemError(error, `writing ${path}`)
    })
  }
  invocation.terminal.say(
    `its configuration to ${join(folder, 'machine.json')}${withSecrets ? ', secrets included' : ', without secrets'}`,
  )
}
