/** Snapshots: new layers under running guests, and merging them away again (CONTRACT §2.3). @module */
import { randomUUID } from 'node:crypto'
import { copyDisk, isGranaryError } from '@granary/core'
import type { Disk, Snapshot, Vm } from '../model/state.ts'
import type { World } from '../model/world.ts'
import { disksOf } from './locks.ts'
import { macsOf } from './mac-pool.ts'
import { TICK_MS, after } from './ticker.ts'

/** How long making and merging take, ms. */
const CREATE_MS = 6_000
const MERGE_MS = 12_000

export interface SnapshotOptions {
  readonly description: string
  readonly persistMemory: boolean
  /** Disks to take. @default all images */
  readonly diskIds?: readonly string[] | undefined
  readonly id?: string
}

/** The disks of a VM that a snapshot can take: images that are not shared. */
export const snapable = (world: World, vm: Vm): Disk[] =>
  disksOf(world, vm).filter(disk => disk.volume !== undefined && disk.config['shareable'] !== true)

/** A snapshot that is not made yet: it, its VM and its disks are locked until the caller has made its layers, or given it up. */
export const beginSnapshot = (
  world: World,
  vm: Vm,
  options: SnapshotOptions,
): { snapshot: Snapshot; disks: Disk[] } => {
  const { description, persistMemory, diskIds, id = randomUUID() } = options
  const disks = snapable(world, vm).filter(disk => diskIds === undefined || diskIds.includes(disk.id))
  const snapshot: Snapshot = {
    id,
    description,
    type: 'regular',
    status: 'locked',
    createdMs: world.clock.now(),
    persistMemory,
    volumes: new Map(),
    config: vm.config,
    macs: macsOf(vm),
  }
  vm.snapshots.set(id, snapshot)
  vm.locks.add(`snapshot ${id}`)
  for (const disk of disks) disk.locks.add(`snapshot ${id}`)
  return { snapshot, disks }
}

/** Releases what a snapshot operation locked. */
export const unlockSnapshot = (vm: Vm, disks: readonly Disk[], id: string): void => {
  vm.locks.delete(`snapshot ${id}`)
  for (const disk of disks) disk.locks.delete(`snapshot ${id}`)
}

/** A user's snapshot, from the request on. */
export const takeSnapshot = (world: World, vm: Vm, options: SnapshotOptions): Snapshot => {
  const { snapshot, disks } = beginSnapshot(world, vm, options)
  after(world, CREATE_MS, async () => {
    const done: Disk[] = []
    try {
      for (const disk of disks) {
        const imageId = randomUUID()
        await disk.volume?.snapshot(imageId)
        snapshot.volumes.set(disk.id, disk.imageId)
        disk.imageId = imageId
        done.push(disk)
      }
      snapshot.status = 'ok'
    } catch (error) {
      if (!isGranaryError(error)) throw error
      for (const disk of done) await mergeLayer(vm, disk, snapshot)
      vm.snapshots.delete(snapshot.id)
    } finally {
      unlockSnapshot(vm, disks, snapshot.id)
    }
  })
  return snapshot
}

/** Puts what lies above the snapshot's layer into it; the layer keeps its id, also for snapshots that had the one above. */
const mergeLayer = async (vm: Vm, disk: Disk, snapshot: Snapshot): Promise<void> => {
  const volumeId = snapshot.volumes.get(disk.id)
  if (volumeId === undefined || disk.volume === undefined) return
  const ids = disk.volume.volumes.map(layer => layer.volumeId)
  const above = ids[ids.indexOf(volumeId) + 1]
  await disk.volume.merge(volumeId)
  for (const { volumes } of vm.snapshots.values()) if (volumes.get(disk.id) === above) volumes.set(disk.id, volumeId)
  disk.imageId = disk.volume.volumes.at(-1)?.volumeId ?? disk.imageId
}

/**
 * Merges a snapshot's layers away.
 *
 * @returns false when one could not be merged: the snapshot stays then, its disks illegal
 */
export const mergeSnapshot = async (world: World, vm: Vm, snapshot: Snapshot): Promise<boolean> => {
  for (const diskId of [...snapshot.volumes.keys()]) {
    const disk = world.disks.get(diskId)
    if (disk === undefined) continue
    if (mergeFails(world, vm)) {
      snapshot.status = 'ok'
      disk.isIllegal = vm.status === 'down'
      return false
    }
    try {
      await mergeLayer(vm, disk, snapshot)
    } catch (error) {
      if (!isGranaryError(error)) throw error
      snapshot.status = 'ok'
      return false
    }
    snapshot.volumes.delete(diskId)
  }
  vm.snapshots.delete(snapshot.id)
  return true
}

const failingMerges = new WeakMap<World, Map<string, number>>()

/** Lets the next merges of a VM fail. */
export const failMerges = (world: World, vmId: string, times: number): void => {
  const failing = failingMerges.get(world) ?? new Map<string, number>()
  failingMerges.set(world, failing.set(vmId, times))
}

const mergeFails = (world: World, vm: Vm): boolean => {
  const failing = failingMerges.get(world)
  const times = failing?.get(vm.id) ?? 0
  if (times > 0) failing?.set(vm.id, times - 1)
  return times > 0
}

/** A user removes a snapshot. */
export const removeSnapshot = (world: World, vm: Vm, snapshot: Snapshot): void => {
  const disks = [...snapshot.volumes.keys()].flatMap(id => world.disks.get(id) ?? [])
  snapshot.status = 'locked'
  vm.locks.add(`snapshot ${snapshot.id}`)
  for (const disk of disks) disk.locks.add(`snapshot ${snapshot.id}`)
  after(world, MERGE_MS, async () => {
    await mergeSnapshot(world, vm, snapshot)
    unlockSnapshot(vm, disks, snapshot.id)
  })
}

/** The disks of a snapshot, with the layers that hold them. */
export const snapshotDisks = (world: World, vm: Vm, snapshot: Snapshot): readonly { disk: Disk; volumeId: string }[] =>
  snapshot.type === 'active'
    ? disksOf(world, vm).map(disk => ({ disk, volumeId: disk.imageId }))
    : [...snapshot.volumes].flatMap(([id, volumeId]) => {
        const disk = world.disks.get(id)
        return disk === undefined ? [] : [{ disk, volumeId }]
      })

/** Puts the content of a snapshot back on the disks of its VM. */
export const revertToSnapshot = async (world: World, snapshot: Snapshot): Promise<void> => {
  for (const [diskId, volumeId] of snapshot.volumes) {
    const image = world.disks.get(diskId)?.volume
    if (image !== undefined) await copyDisk(image.openSnapshot(volumeId), image.open(), { differencesOnly: true })
  }
}

/** Restoring an older state makes all checkpoints invalid, and removes them at the next tick (CONTRACT §4.4). */
export const invalidateCheckpoints = (world: World, vm: Vm): void => {
  for (const checkpoint of vm.checkpoints) checkpoint.state = 'invalid'
  const invalid = new Set(vm.checkpoints)
  after(world, TICK_MS, () => {
    vm.checkpoints = vm.checkpoints.filter(checkpoint => !invalid.has(checkpoint))
    for (const disk of disksOf(world, vm)) disk.volume?.bitmaps.lose()
  })
}
