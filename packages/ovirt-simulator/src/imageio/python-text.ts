/** Text as the real daemon, a Python program, writes it. @module */

/** JSON with a space behind each comma and colon, as `json.dumps` writes it. */
export const pythonJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}: ${pythonJson(field)}`).join(', ')}}`
}

/** A value as Python's `repr` shows it. */
export const pythonRepr = (value: unknown): string => {
  if (typeof value === 'string') {
    const escaped = value.replaceAll('\\', '\\\\')
    return value.includes("'") && !value.includes('"') ? `"${escaped}"` : `'${escaped.replaceAll("'", "\\'")}'`
  }
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (value === null || value === undefined) return 'None'
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([name, field]) => `${pythonRepr(name)}: ${pythonRepr(field)}`)
      .join(', ')}}`
  return JSON.stringify(value)
}
