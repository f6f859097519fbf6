// What a client of the contract must be able to write. `tsc --strict` must accept all of it.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Case = components["schemas"]["Case"];

const api = createClient<paths>({ baseUrl: "https://api.example.com" });

/** The details of a denture are enough: the service derives the case type. */
export async function createDenture(): Promise<Case> {
  const { data, error } = await api.POST("/api/v1/cases", {
    params: { header: { "Idempotency-Key": "6f1c", "X-Lab-Id": 123 } },
    body: { denture: { type: "complete_upper", material: "acrylic_resin", shade: { shade_system: "custom", shade_value: "7" } } },
  });
  if (error !== undefined) {
    throw new Error(describe(error));
  }
  return data;
}

/** The gateway's own errors have only a message; the service's have a code. */
export function describe(error: components["schemas"]["Problem"] | components["schemas"]["GatewayMessage"]): string {
  if ("message" in error) {
    return error.message;
  }
  const fields = (error.errors ?? []).map(({ pointer, code, params }) => `${pointer} ${code} ${params.min ?? ""} ${params.max ?? ""}`);
  return [error.code, ...fields].join("\n");
}

/** `case_type` narrows a case to the details that it can have. */
export function material(one: Case): string | undefined {
  switch (one.case_type) {
    case "fixed_prosthetic":
      return one.fixed_prosthetic?.material;
    case "denture":
      return one.denture?.material;
    case "night_guard":
      return one.night_guard?.material;
    case "implant":
      return one.fixed_prosthetic?.material ?? one.implant?.implant_system;
    case "orthodontic":
    case "other":
      return undefined;
  }
}

/** No type is left: a client notices at compile time when the contract gets another case type. */
export function isDenture(one: Case): one is components["schemas"]["DentureCase"] {
  return one.case_type === "denture";
}

export async function nextPage(cursor: string | null): Promise<Case[]> {
  const query = cursor === null ? { status: ["pending", "in_progress"] as const } : { cursor };
  const { data } = await api.GET("/api/v1/cases", { params: { query: { ...query, status: [...(query.status ?? [])], limit: 50 } } });
  return data?.cases ?? [];
}

/** Merges: what is not named stays, `null` clears. */
export async function patch(id: number, etag: string) {
  return api.PATCH("/api/v1/cases/{id}", {
    params: { path: { id }, header: { "If-Match": etag } },
    headers: { "Content-Type": "application/merge-patch+json" },
    body: { notes: null, denture: { material: "titanium", shade: { shade_value: "8" } } },
  });
}

/** A case can be sent back as it was read. */
export async function sendBack(one: Case) {
  return api.PUT("/api/v1/cases/{id}", { params: { path: { id: one.id } }, body: { ...one, priority: "high" } });
}

export async function follow(since?: string) {
  const { data } = await api.GET("/api/v1/cases/changes", { params: { query: { since } } });
  return data?.changes.map(({ id, case: state }) => ({ id, denture: state?.case_type === "denture" ? state.denture : null }));
}

export async function isHealthy(): Promise<boolean> {
  const { response } = await api.HEAD("/health");
  return response.ok;
}
