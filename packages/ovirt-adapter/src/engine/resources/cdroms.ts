/** The one CD-ROM drive of a machine. @module */
import type { CallOptions, Engine } from '../engine.ts'
import { BLANK_ID } from '../ids.ts'
import { objectOf, textOf } from '../json.ts'

export interface CdromOptions extends CallOptions {
  /** What is in the drive of the running machine, not what it is started with. */
  readonly isCurrent: boolean
}

const pathOf = (vmId: string): string => `/vms/${vmId}/cdroms/${BLANK_ID}`

/** @returns the disk's id, or a name ending in `.iso`; undefined when it is empty */
export const readCdrom = async (
  engine: Engine,
  vmId: string,
  { isCurrent, ...options }: CdromOptions,
): Promise<string | undefined> => {
  const query = isCurrent ? { current: true } : {}
  const file = objectOf(await engine.get(pathOf(vmId), { ...options, query }), 'file')
  const id = file === undefined ? undefined : textOf(file, 'id')
  return id === '' ? undefined : id
}

/** Puts a disc in, or takes it out (`undefined`). */
export const changeCdrom = async (
  engine: Engine,
  vmId: string,
  file: string | undefined,
  { isCurrent, ...options }: CdromOptions,
): Promise<void> => {
  const query = isCurrent ? { current: true } : {}
  await engine.update(pathOf(vmId), { file: { id: file ?? '' } }, { ...options, query })
}
