/** What addresses choose, for extraction. @module */
import { isGranaryError } from '@granary/core'
import { nameOfBytes, resolvePath } from '@granary/guestfs'
import type { Name } from '@granary/guestfs'
import type { Selection } from '@granary/extract'
import type { Invocation } from '../command.ts'
import type { GuestAddress } from './guest-address.ts'
import { openGuestDisks } from './open-disks.ts'
import type { GuestDisks } from './open-disks.ts'
import { openTrees, pathOf, readableVolumes } from './open-trees.ts'
import type { NamedTree } from './open-trees.ts'

/** A path keeps its last name; a whole volume goes to the top, several each into a folder of its own. */
export const selectionOf = async (
  invocation: Invocation,
  { tree, top, volumeOf }: NamedTree,
  address: GuestAddress,
): Promise<Selection> => {
  const { signal } = invocation
  const path = pathOf(invocation, address)
  const node = await resolvePath(tree, path, { signal, from: top })
  return { tree, node, path: address.volume === undefined ? { text: volumeOf(node) } : lastName(path) }
}

const lastName = (path: ReturnType<typeof pathOf>): Name => {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path
  const names = Buffer.from(bytes).toString('latin1').split('/')
  const last = names.findLast(name => name !== '' && name !== '.' && name !== '..') ?? ''
  return nameOfBytes(Uint8Array.from(Buffer.from(last, 'latin1')))
}

export interface OpenSelections extends AsyncDisposable {
  readonly selections: readonly Selection[]
}

/** All of them at once, for who needs every file twice; open until they are closed. */
export const openSelections = async (
  invocation: Invocation,
  addresses: readonly GuestAddress[],
): Promise<OpenSelections> => {
  const open: (AsyncGenerator<NamedTree> | GuestDisks)[] = []
  const close = async (): Promise<void> => {
    for (const one of open.splice(0).toReversed())
      await ('set' in one ? one[Symbol.asyncDispose]() : one.return(undefined))
  }
  const selections: Selection[] = []
  try {
    for (const address of addresses) {
      const guest = await openGuestDisks(invocation, address.disks)
      open.push(guest)
      const volumes = address.volume === undefined ? readableVolumes(invocation, guest.set) : [address.volume]
      for (const volume of volumes) {
        // Each generator holds one tree for as long as it isn't asked for another.
        const trees = openTrees(invocation, guest.set, { ...address, volume })
        open.push(trees)
        try {
          const { value } = await trees.next()
          if (value !== undefined) selections.push(await selectionOf(invocation, value, address))
        } catch (error) {
          // One of all volumes is a warning; one that was asked for by name isn't.
          if (address.volume !== undefined || !isGranaryError(error)) throw error
          invocation.terminal.warn(`volume ${volume}: ${error.message}`, { volume, code: error.code })
        }
      }
    }
    return { selections, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}
