/** What the next start does about intents that were not settled: the run that made them was killed. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import { awaitDetached } from './detached.ts'
import { endCopy } from './end-copy.ts'
import { guestAgent } from './guest-agent.ts'
import { thawIfFrozen } from './guest-thaw.ts'
import type { HostIntent } from './intents.ts'
import type { Libvirt } from './libvirt.ts'

/**
 * Undoes an intent: ends a backup job that is ours, thaws the guest, commits overlays, runs the script that was due.
 * When it resolves, nothing of the intent is left on the host.
 *
 * @param libvirt of the host that the intent names by its `uri`
 * @throws GranaryError `GRANARY_REMOTE` when an overlay is not proven committed: keep the intent and ask the operator
 */
export const undoHostIntent = async (
  libvirt: Libvirt,
  intent: HostIntent,
  { clock, signal }: AbortOptions & { readonly clock: Clock },
): Promise<void> => {
  switch (intent.kind) {
    case 'host-pull':
    case 'host-overlay':
      await awaitDetached(intent.folder, { signal })
      // Only a begin that was killed with all its children leaves a guest frozen: that one waits for us.
      return await endCopy(libvirt, intent, {
        clock,
        thaw: async () => await thawIfFrozen(libvirt, intent.domain, clock, { signal }),
      })
    case 'host-script': {
      if (!(await libvirt.isActive(intent.domain, { signal }))) return
      const { path, timeoutMs } = intent
      await guestAgent(libvirt, intent.domain, clock).execute({ path, timeoutMs }, { signal })
      return
    }
    default: {
      const unknown: never = intent
      throw new GranaryError('GRANARY_UNSUPPORTED', `an intent of a newer version: ${JSON.stringify(unknown)}`)
    }
  }
}
