/** The engine's journal. @module */
import type { CallOptions, Engine } from '../engine.ts'
import { integerOf, itemsOf, textOf, timeOf } from '../json.ts'
import type { Json } from '../json.ts'

export interface EngineEvent {
  readonly index: number
  readonly code: number
  readonly severity: string
  readonly description: string
  readonly correlationId: string | undefined
  readonly timeMs: number | undefined
}

/** "Incremental backup failed. Full backup is now needed": the engine has removed all checkpoints. */
export const FULL_BACKUP_NEEDED = 10791

const decodeEvent = (json: Json): EngineEvent => ({
  index: integerOf(json, 'index') ?? integerOf(json, 'id') ?? 0,
  code: integerOf(json, 'code') ?? 0,
  severity: textOf(json, 'severity') ?? 'normal',
  description: textOf(json, 'description') ?? '',
  correlationId: textOf(json, 'correlation_id'),
  timeMs: timeOf(json, 'time'),
})

/** @param most 1 and more */
export const listEvents = async (
  engine: Engine,
  { search, most, ...options }: CallOptions & { readonly search?: string; readonly most: number },
): Promise<readonly EngineEvent[]> =>
  itemsOf(await engine.get('/events', { ...options, query: { search, max: most } }), 'event').map(decodeEvent)
