/** Waits for a program that serves. @module */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'

const PAUSE_MS = 20
/** 30 seconds of a machine that does nothing else. */
const MOST_TRIES = 1500

/** A unix socket, or an address. */
export type ListeningPlace = { readonly path: string } | { readonly host: string; readonly port: number }

/** Resolves once somebody accepts connections there: the file of a socket is there a moment before. @throws when nobody does */
export const untilListening = async (where: ListeningPlace): Promise<void> => {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const socket = connect(where)
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isThere) return
    await setTimeout(PAUSE_MS)
  }
  throw new Error(`nobody listens at ${JSON.stringify(where)}`)
}
