/**
 * Freezes the guest, begins a backup, thaws. libvirt's backup-begin cannot freeze by itself, and a guest that stays frozen
 * hangs. So the three are one child that outlives us: whoever is killed meanwhile, the thaw comes.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import { runDetached } from './detached.ts'
import { agentCommand } from './guest-agent.ts'
import type { Frozen } from './host-copy.ts'
import type { Libvirt } from './libvirt.ts'

export interface FrozenBegin {
  readonly frozen: Frozen
  /** Why they were not frozen, in the agent's words. */
  readonly words: string
}

/**
 * Begins the backup that `xml` describes.
 *
 * @param folder of ours, where the description and the output are kept
 * @throws GranaryError `GRANARY_REMOTE` when libvirt refuses to begin
 */
export const beginFrozen = async (
  libvirt: Libvirt,
  { domain, xml, folder }: { domain: string; xml: string; folder: string },
): Promise<FrozenBegin> => {
  const description = join(folder, 'backup.xml')
  await writeFile(description, xml)
  const agent = (execute: string): string => quoted(agentCommand(domain, JSON.stringify({ execute })))
  // virsh goes on after a command that fails: the thaw is always reached.
  const script = [
    agent('guest-fsfreeze-freeze'),
    MARK,
    quoted(['backup-begin', domain, description]),
    MARK,
    agent('guest-fsfreeze-thaw'),
  ].join('; ')
  const { stdout, stderr } = await runDetached(libvirt.commandLine(script), folder)
  const [freeze, begin] = sections(stdout, stderr)
  if (begin.out.includes('Backup started')) return { frozen: frozenOf(freeze), words: freeze.error }
  throw new GranaryError('GRANARY_REMOTE', `libvirt did not begin the backup: ${begin.error || stderr.trim()}`, {
    detail: { domain },
  })
}

/** virsh's own parser of commands takes single quotes as a shell does. */
const quoted = (parameters: readonly string[]): string => parameters.map(text => `'${text}'`).join(' ')

const MARK = 'echo granary-mark; echo --err granary-mark'

interface Section {
  readonly out: string
  readonly error: string
}

/** What freezing and beginning printed. */
const sections = (out: string, error: string): [Section, Section] => {
  const parts = (text: string): string[] => text.split(/(?:error: )?granary-mark\s*/)
  const [outParts, errorParts] = [parts(out), parts(error)]
  const section = (at: number): Section => ({
    out: (outParts[at] ?? '').trim(),
    error: (errorParts[at] ?? '').trim().replaceAll(/^error: /gm, ''),
  })
  return [section(0), section(1)]
}

/** The agent answers with the number of file systems it froze. */
const frozenOf = ({ out, error }: Section): Frozen => {
  const count = /"return"\s*:\s*(\d+)/.exec(out)?.[1]
  if (count !== undefined) return Number(count) > 0 ? 'yes' : 'no'
  return error === '' ? 'unknown' : 'no'
}
