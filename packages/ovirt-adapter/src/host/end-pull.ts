/** The end of a pull-mode backup job that is ours. @module */
import { join } from 'node:path'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Clock } from '@granary/dedup-store'
import { escapeXml } from './domain-xml.ts'
import type { PullIntent } from './intents.ts'
import type { Libvirt } from './libvirt.ts'

/** Where the job serves the moment: the name of the folder is ours alone, so it names the job. */
export const socketOf = (folder: string): string => join(folder, 'nbd.sock')

/** `sun_path` of unix(7) has 108 bytes, one of them for the NUL behind it. */
const MAX_SOCKET_PATH_BYTES = 107

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a socket in the folder can't have a path that short */
export const expectShortPath = (folder: string): void => {
  const path = socketOf(folder)
  const length = Buffer.byteLength(path)
  if (length <= MAX_SOCKET_PATH_BYTES) return
  throw new GranaryError(
    'GRANARY_INVALID_ARGUMENT',
    `the path of a socket has at most ${MAX_SOCKET_PATH_BYTES} bytes, this one ${length}: ${path}`,
    { detail: { path, length }, hint: 'choose a scratch folder with a shorter path' },
  )
}

/** True while the job that runs is the one with our socket. */
export const isOurs = async (
  libvirt: Libvirt,
  domain: string,
  folder: string,
  options: AbortOptions = {},
): Promise<boolean> => (await libvirt.backupXml(domain, options))?.includes(escapeXml(socketOf(folder))) === true

/** Ends the job if it is there and ours, and waits until it is gone. */
export const endPull = async (
  libvirt: Libvirt,
  { domain, folder }: Pick<PullIntent, 'domain' | 'folder'>,
  clock: Clock,
): Promise<void> => {
  for (let attempt = 1; await isOurs(libvirt, domain, folder); attempt++) {
    if (attempt > MOST_ATTEMPTS)
      throw new GranaryError('GRANARY_TIMEOUT', 'libvirt does not end our backup job', {
        detail: { domain, folder },
        retryable: true,
        hint: `end it by hand: virsh domjobabort ${domain}`,
      })
    await libvirt.abortJob(domain).catch((error: unknown) => {
      // It may have ended by itself, or by another of our calls: the next look tells.
      if (!isGranaryError(error) || error.code !== 'GRANARY_REMOTE') throw error
    })
    await clock.sleep(ATTEMPT_MS)
  }
}

const ATTEMPT_MS = 100
const MOST_ATTEMPTS = 300
