/** `granary check qcow2:FILE`. @module */
import { unlink } from 'node:fs/promises'
import { GranaryError, formatBytes } from '@granary/core'
import { checkQcow2, createFile, openFileToRead, repairQcow2 } from '@granary/qcow2'
import type { Qcow2CheckReport, RandomFile } from '@granary/qcow2'
import { textOption } from '../command.ts'
import type { Invocation } from '../command.ts'

/** Damage is an error; leaks lose nothing but space, and are a warning. */
export const checkImage = async (invocation: Invocation, path: string): Promise<0 | 3> => {
  const { terminal, signal } = invocation
  const file = await openFileToRead(path)
  try {
    const report = await checkQcow2(file, { signal })
    say(invocation, path, report)
    const repaired = textOption(invocation, 'repair')
    if (repaired !== undefined) await repairInto(file, repaired, signal)
    if (repaired !== undefined) terminal.say(`repaired into ${repaired}`)
    if (report.corruptions > 0 && repaired === undefined)
      throw new GranaryError('GRANARY_CORRUPT', `${path}: ${report.corruptions} errors, ${report.leaks} leaks`, {
        detail: { corruptions: report.corruptions, leaks: report.leaks },
        hint: '--repair FILE writes a copy with its refcounts counted anew, where nothing else is wrong',
      })
    if (report.leaks > 0 && repaired === undefined)
      terminal.warn(
        `${report.leaks} clusters (${formatBytes(report.leakedBytes)}) are leaked: --repair FILE gets rid of them`,
      )
    return terminal.warnings > 0 ? 3 : 0
  } finally {
    await file[Symbol.asyncDispose]?.()
  }
}

const say = ({ terminal }: Invocation, path: string, report: Qcow2CheckReport): void => {
  const { problems, ...counts } = report
  for (const { kind, message, offset } of problems) {
    terminal.emit({ type: 'problem', v: 1, kind, message, offset })
    terminal.say(`${kind}  ${message} at ${offset}`)
  }
  terminal.emit({ type: 'imageCheck', v: 1, path, ...counts })
  terminal.say(`${path}: ${report.corruptions} errors, ${report.leaks} leaks`)
}

/** Into a new file, which goes again when it can't be made right. */
const repairInto = async (source: RandomFile, path: string, signal: AbortSignal): Promise<void> => {
  const target = await createFile(path)
  try {
    await repairQcow2(source, target, { signal })
  } catch (error) {
    await unlink(path).catch(() => undefined)
    throw error
  } finally {
    await target[Symbol.asyncDispose]?.()
  }
}
