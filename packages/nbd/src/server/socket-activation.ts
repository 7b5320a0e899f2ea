/**
 * Sockets that systemd, or a program like nbdcopy, opened for us.
 *
 * @see sd_listen_fds(3)
 * @module
 */
import { GranaryError } from '@granary/core'

/** First file descriptor that is handed over. */
const FIRST_FD = 3

/**
 * Numbers of the listening sockets handed over to this process; none when there are none.
 *
 * @param environment usually `process.env`
 * @param pid usually `process.pid`: what was meant for another process is left alone
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when LISTEN_FDS is no number
 */
export const activatedSockets = (
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): readonly number[] => {
  const { LISTEN_FDS: count, LISTEN_PID: owner } = environment
  if (count === undefined || (owner !== undefined && Number(owner) !== pid)) return []
  const sockets = Number(count)
  if (!Number.isSafeInteger(sockets) || sockets < 0 || sockets > 1000)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `LISTEN_FDS is ${count}, expected a number of sockets`)
  return Array.from({ length: sockets }, (_, i) => FIRST_FD + i)
}
