/** What a service gives back; the server makes JSON or XML of it. @module */
import type { Attributes, TypeName } from '../model/schema.ts'

export interface Answer {
  readonly status: number
  readonly type: TypeName
  readonly entity?: Attributes
  readonly list?: readonly Attributes[]
  /** An empty list is shown as one: the engine's code called its getter (CONTRACT §0.1). */
  readonly isListTouched?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

export const entityOf = (type: TypeName, entity: Attributes, status = 200): Answer => ({ status, type, entity })
export const listOf = (type: TypeName, list: readonly Attributes[]): Answer => ({ status: 200, type, list })

/** 201 with the place of what was made. */
export const created = (type: TypeName, entity: Attributes, status = 201): Answer => {
  const { href } = entity
  return { status, type, entity, ...(typeof href === 'string' && { headers: { location: href } }) }
}

/** An action that is done; DELETE is answered alike. */
export const done = (jobId: string): Answer => entityOf('Action', { status: 'complete', job: { id: jobId } })

/** An action whose tasks still run. */
export const running = (jobId: string): Answer =>
  entityOf('Action', { async: true, status: 'in_progress', job: { id: jobId } }, 202)
