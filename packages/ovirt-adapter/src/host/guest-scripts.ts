/** Scripts of the guest's own, run around the moment of a copy. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import { guestAgent } from './guest-agent.ts'
import type { HostJournal } from './intents.ts'
import type { Libvirt } from './libvirt.ts'

export interface GuestScripts {
  /** Full path inside the guest. Fails the copy when it fails. */
  readonly before?: string
  /** Full path inside the guest. Runs when the first one ran, whatever came of it and of the copy. */
  readonly after?: string
  /** For each of them: 1 to 600 s. @default 5000 */
  readonly timeoutMs?: number
}

/** What became of a script, for the log. */
export interface ScriptReport {
  readonly script: 'before' | 'after'
  readonly path: string
  /** Undefined when it did not end, or could not be started: `failure` says why. */
  readonly exitCode?: number
  readonly output: string
  readonly failure?: string
}

export interface GuestScriptOptions extends AbortOptions {
  readonly libvirt: Libvirt
  readonly domain: string
  readonly scripts: GuestScripts
  readonly journal: HostJournal
  readonly clock: Clock
  readonly onScript?: (report: ScriptReport) => void
}

/**
 * Runs `action` between the two scripts.
 *
 * @throws GranaryError `GRANARY_REMOTE` when the first script exits with another code than 0, `GRANARY_TIMEOUT` when it takes
 * too long; then there was no `action`. What `action` throws. A failure of the second script is reported only
 */
export const betweenScripts = async <Result>(
  options: GuestScriptOptions,
  action: () => Promise<Result>,
): Promise<Result> => {
  const { libvirt, domain, scripts, journal, signal } = options
  const { before, after, timeoutMs = DEFAULT_TIMEOUT_MS } = scripts
  const settle =
    after === undefined
      ? undefined
      : await journal.intend({ kind: 'host-script', domain, uri: libvirt.uri, path: after, timeoutMs }, { signal })
  try {
    if (before !== undefined) await runScript(options, 'before', before)
    return await action()
  } finally {
    // Without the caller's signal: it runs after an abort, too.
    if (after !== undefined) await runScript({ ...options, signal: undefined }, 'after', after).catch(() => undefined)
    await settle?.()
  }
}

const DEFAULT_TIMEOUT_MS = 5000

const runScript = async (options: GuestScriptOptions, script: ScriptReport['script'], path: string): Promise<void> => {
  const { libvirt, domain, scripts, clock, onScript, signal } = options
  const timeoutMs = scripts.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const report = { script, path } as const
  try {
    const { exitCode, output } = await guestAgent(libvirt, domain, clock).execute({ path, timeoutMs }, { signal })
    onScript?.({ ...report, exitCode, output })
    if (exitCode === 0) return
    throw new GranaryError('GRANARY_REMOTE', `${path} in the guest ended with exit code ${exitCode}`, {
      detail: { script, path, exitCode },
      hint: 'its output is in the log; without the script, or with one that ends with 0, the backup goes on',
    })
  } catch (error) {
    if (!(isGranaryError(error) && 'exitCode' in error.detail))
      onScript?.({ ...report, output: '', failure: error instanceof Error ? error.message : String(error) })
    throw error
  }
}
