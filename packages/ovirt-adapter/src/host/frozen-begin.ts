/**
 * Freezes the guest, begins a copy, thaws. A guest that stays frozen hangs, so the three are one child that outlives us:
 * whoever is killed meanwhile, the thaw comes. libvirt's own ways won't do: backup-begin cannot freeze at all, and
 * snapshot-create-as waits for a freeze without an end.
 *
 * @module
 */
import { GranaryError } from '@granary/core'
import { runDetached } from './detached.ts'
import { agentCommand } from './guest-agent.ts'
import type { Frozen } from './host-copy.ts'
import type { Libvirt } from './libvirt.ts'

export interface FrozenBegin {
  readonly frozen: Frozen
  /** Why they were not frozen, in the agent's words. */
  readonly words: string
  /** False when the agent took too long to freeze, or did not answer the thaw: the guest may be frozen, or may come to be. */
  readonly isThawed: boolean
}

export interface FrozenBeginOptions {
  readonly domain: string
  /** The command of virsh that begins the copy. */
  readonly begin: readonly string[]
  /** Of ours, where the output is kept. */
  readonly folder: string
  /** How long the guest may take to freeze, and then to thaw. */
  readonly freezeTimeoutMs: number
}

/** @throws GranaryError `GRANARY_REMOTE` when libvirt refuses to begin */
export const beginFrozen = async (
  libvirt: Libvirt,
  { domain, begin, folder, freezeTimeoutMs }: FrozenBeginOptions,
): Promise<FrozenBegin> => {
  const agent = (execute: string, timeoutMs: number): string =>
    quoted(agentCommand(domain, JSON.stringify({ execute }), Math.ceil(timeoutMs / 1000)))
  // virsh goes on after a command that fails: the thaw is always reached.
  const script = [
    agent('guest-ping', PING_TIMEOUT_MS),
    agent('guest-fsfreeze-freeze', freezeTimeoutMs),
    quoted(begin),
    agent('guest-fsfreeze-thaw', freezeTimeoutMs),
  ].join(MARK)
  const { stdout, stderr } = await runDetached(libvirt.commandLine(script), folder)
  const [ping, freeze, begun, thaw] = sections(stdout, stderr)
  // Where nobody answered the ping, no freeze was sent: none can come of it later.
  const isThawed = COUNT.test(thaw.out) || ping.error !== '' || REFUSED.test(freeze.error)
  // What came after the last mark is there only when the command before it has ended.
  if (begun.error === '' && thaw !== NOTHING) return { frozen: frozenOf(freeze), words: freeze.error, isThawed }
  throw new GranaryError('GRANARY_REMOTE', `libvirt did not begin the copy: ${begun.error || stderr.trim()}`, {
    detail: { domain, command: begin[0] ?? '' },
  })
}

/** virsh's own parser of commands takes single quotes and backslashes as a shell does. */
const quoted = (parameters: readonly string[]): string =>
  parameters.map(text => `'${text.replaceAll("'", String.raw`'\\''`)}'`).join(' ')

const MARK = '; echo granary-mark; echo --err granary-mark; '

const PING_TIMEOUT_MS = 5000

interface Section {
  readonly out: string
  readonly error: string
}

const NOTHING: Section = { out: '', error: '' }

/** What pinging, freezing, beginning and thawing printed. */
const sections = (out: string, error: string): [Section, Section, Section, Section] => {
  const parts = (text: string): string[] => text.split(/(?:error: )?granary-mark\s*/)
  const [outParts, errorParts] = [parts(out), parts(error)]
  const section = (at: number): Section =>
    outParts[at] === undefined
      ? NOTHING
      : { out: outParts[at].trim(), error: (errorParts[at] ?? '').trim().replaceAll(/^error: /gm, '') }
  return [section(0), section(1), section(2), section(3)]
}

/** The agent answers with the number of file systems it froze or thawed. */
const COUNT = /"return"\s*:\s*(\d+)/

/** The agent is there and freezes nothing. */
const REFUSED = /has been disabled|has not been found/

const frozenOf = ({ out, error }: Section): Frozen => {
  const count = COUNT.exec(out)?.[1]
  if (count !== undefined) return Number(count) > 0 ? 'yes' : 'no'
  return error === '' ? 'unknown' : 'no'
}
