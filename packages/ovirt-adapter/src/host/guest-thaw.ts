/** Guests whose freeze was begun and whose thaw was not seen: they are thawed, however long it takes. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import { guestAgent } from './guest-agent.ts'
import type { Libvirt } from './libvirt.ts'

/**
 * Thaws a guest that is frozen.
 *
 * @throws GranaryError when its agent is there and does not answer: it may be busy freezing still
 */
export const thawIfFrozen = async (
  libvirt: Libvirt,
  domain: string,
  clock: Clock,
  options: AbortOptions = {},
): Promise<void> => {
  if (!(await libvirt.isActive(domain, options))) return
  const agent = guestAgent(libvirt, domain, clock)
  try {
    if (await agent.isFrozen(options)) await agent.thaw(options)
  } catch (error) {
    // A guest whose agent is not running was never frozen, or was started anew since.
    if (!isGranaryError(error) || !/not connected|not configured|has been disabled/.test(error.message)) throw error
  }
}

export interface Thawing {
  /** Stops trying. @throws GranaryError `GRANARY_REMOTE` when no thaw was seen: the guest may be frozen */
  readonly end: () => Promise<void>
}

/** Asks again and again, beside whatever else is done, until the guest is known to be thawed. */
export const keepThawing = (libvirt: Libvirt, domain: string, clock: Clock): Thawing => {
  const ended = new AbortController()
  const { signal } = ended
  const thawed = (async () => {
    for (let failure: unknown; ;) {
      try {
        await thawIfFrozen(libvirt, domain, clock, { signal })
        return undefined
      } catch (error) {
        if (signal.aborted) return failure ?? error
        failure = error
      }
      await clock.sleep(PAUSE_MS, signal).catch(() => undefined)
    }
  })()
  return {
    async end() {
      ended.abort()
      const failure = await thawed
      if (failure === undefined) return
      // Once more, unhurried: the copy may have been so short that there was no first time.
      await thawIfFrozen(libvirt, domain, clock).catch((error: unknown) => {
        throw mayBeFrozen(domain, error)
      })
    },
  }
}

const PAUSE_MS = 1000

const mayBeFrozen = (domain: string, cause: unknown): GranaryError =>
  new GranaryError(
    'GRANARY_REMOTE',
    'the guest took too long to freeze, and its agent does not answer: it may be frozen',
    {
      detail: { domain },
      cause,
      hint: `when it answers: virsh qemu-agent-command ${domain} '{"execute":"guest-fsfreeze-thaw"}'; granary ovirt clean does it, too`,
    },
  )
