/** A value as JSON, with the members of its objects in each of their orders, up to a number of texts. */
export function jsonOrders(value: unknown, most = 400): string[] {
  if (Array.isArray(value)) {
    return product(
      value.map((item) => jsonOrders(item, most)),
      most
    ).map((items) => `[${items.join(',')}]`)
  }
  if (typeof value !== 'object' || value === null) return [JSON.stringify(value)]
  const texts: string[] = []
  for (const keys of orders(Object.keys(value), most)) {
    const members = keys.map((key) =>
      jsonOrders(Reflect.get(value, key), most).map((text) => `${JSON.stringify(key)}:${text}`)
    )
    texts.push(...product(members, most).map((list) => `{${list.join(',')}}`))
    if (texts.length >= most) break
  }
  return texts.slice(0, most)
}

function orders<T>(list: readonly T[], most: number): T[][] {
  if (list.length <= 1) return [[...list]]
  const found: T[][] = []
  for (const [i, first] of list.entries()) {
    const others = [...list.slice(0, i), ...list.slice(i + 1)]
    for (const rest of orders(others, most)) {
      found.push([first, ...rest])
      if (found.length >= most) return found
    }
  }
  return found
}

function product(lists: readonly (readonly string[])[], most: number): string[][] {
  let found: string[][] = [[]]
  for (const list of lists) {
    found = found.flatMap((head) => list.map((text) => [...head, text])).slice(0, most)
  }
  return found
}
