"""Checks Kubernetes manifests without a cluster.

    manifests.py FILE --config OUT --env OUT --custom OUT [--external KIND/NAME …]

Every object of FILE (YAML, several documents) is validated against the schemas of the API server, strictly, in the
oldest and the newest version that kubernetes-validate has of those we support; custom resources are written to
--custom as JSON, for a checker that has their types. What the schemas cannot say is checked here: selectors select,
ports and references lead somewhere, pods satisfy the restricted pod security standard, and the grace period is
longer than what has to fit into it. --config gets the registry's configuration file, --env the pod's variables and the
paths of the probes, for the binary to be tried with.
"""

import argparse
import json
import re
import sys

import kubernetes_validate
import yaml

OLDEST = "1.30"
CUSTOM = {("gateway.networking.k8s.io/v1", "HTTPRoute"), ("monitoring.coreos.com/v1", "ServiceMonitor")}
problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


def name(thing):
    return f"{thing['kind']}/{thing['metadata']['name']}"


def versions():
    return OLDEST, kubernetes_validate.latest_version().rsplit(".", 1)[0]


def schemas(thing):
    for version in versions():
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problem(name(thing), f"Kubernetes {version}: {error.message} at {list(error.path)}")


def selected(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def seconds(duration):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(n) * units[u] for n, u in re.findall(r"([0-9.]+)(ms|s|m|h)", str(duration)))


def restricted(where, spec):
    """The restricted pod security standard."""
    pod = spec.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            problem(where, f"{key} is set")
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret", "ephemeral", "csi"}:
            problem(where, f"volume {volume['name']} is of kind {kinds}")
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        here = f"{where}, container {container['name']}"
        if own.get("allowPrivilegeEscalation") is not False:
            problem(here, "allowPrivilegeEscalation is not false")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
            problem(here, "not all capabilities are dropped")
        if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            problem(here, "runAsNonRoot is not true")
        if own.get("runAsUser", pod.get("runAsUser")) in (0, None):
            problem(here, "runAsUser is not a user other than root")
        if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") != "RuntimeDefault":
            problem(here, "seccompProfile is not RuntimeDefault")
        # These two are ours, not the standard's.
        if own.get("readOnlyRootFilesystem") is not True:
            problem(here, "the root file system is writable")
        if "memory" not in container.get("resources", {}).get("limits", {}):
            problem(here, "memory has no limit")
    if spec.get("automountServiceAccountToken") is not False:
        problem(where, "the pod gets a token of the API server")
    if spec.get("enableServiceLinks") is not False:
        problem(where, "enableServiceLinks is not false")


def references(where, spec, things, external):
    wanted = set()
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            wanted.add(f"ConfigMap/{volume['configMap']['name']}")
        if "secret" in volume:
            wanted.add(f"Secret/{volume['secret']['secretName']}")
        if "persistentVolumeClaim" in volume:
            wanted.add(f"PersistentVolumeClaim/{volume['persistentVolumeClaim']['claimName']}")
    if spec.get("serviceAccountName", "default") != "default":
        wanted.add(f"ServiceAccount/{spec['serviceAccountName']}")
    for reference in wanted - {name(thing) for thing in things} - external:
        problem(where, f"refers to {reference}, which is not there")
    secrets = {volume["name"] for volume in spec.get("volumes", []) if "secret" in volume}
    for mount in (mount for container in spec["containers"] for mount in container.get("volumeMounts", [])):
        if mount["name"] in secrets and not mount.get("readOnly"):
            problem(where, f"the Secret at {mount['mountPath']} can be written to")
    mounts = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", [])}
    if mounts != {volume["name"] for volume in spec.get("volumes", [])}:
        problem(where, f"volumes and mounts differ: {sorted(mounts)}")


def wiring(things, deployment):
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    where = name(deployment)
    if not selected(deployment["spec"]["selector"]["matchLabels"], labels):
        problem(where, "its selector does not select its pods")
    ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
    services = {}
    for thing in things:
        spec = thing.get("spec", {})
        if thing["kind"] == "Service":
            services[thing["metadata"]["name"]] = thing
            if not selected(spec["selector"], labels) or not spec["selector"]:
                problem(name(thing), "selects no pod")
            for port in spec["ports"]:
                if port["targetPort"] not in ports:
                    problem(name(thing), f"targetPort {port['targetPort']} is no port of the pod")
        elif thing["kind"] == "PodDisruptionBudget":
            if not selected(spec["selector"]["matchLabels"], labels) or not spec["selector"]["matchLabels"]:
                problem(name(thing), "selects no pod")
        elif thing["kind"] == "NetworkPolicy":
            chosen = spec["podSelector"].get("matchLabels", {})
            if not selected(chosen, labels) or not chosen:
                problem(name(thing), "selects no pod, or every pod of the namespace")
            open_ports = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
            if open_ports != set(ports):
                problem(name(thing), f"lets {sorted(open_ports)} in, the pod has {sorted(ports)}")
    for thing in things:
        spec = thing.get("spec", {})
        backends = []
        if thing["kind"] == "Ingress":
            backends = [p["backend"]["service"] for r in spec["rules"] for p in r["http"]["paths"]]
            backends = [(backend["name"], backend["port"].get("name")) for backend in backends]
        elif thing["kind"] == "HTTPRoute":
            backends = [(b["name"], b["port"]) for rule in spec["rules"] for b in rule["backendRefs"]]
        for service, port in backends:
            offered = services.get(service, {}).get("spec", {}).get("ports", [])
            if not any(port in (one["name"], one["port"]) for one in offered):
                problem(name(thing), f"leads to port {port} of Service/{service}, which is not there")
        if thing["kind"] == "ServiceMonitor":
            found = [s for s in services.values() if selected(spec["selector"]["matchLabels"], s["metadata"]["labels"])]
            if len(found) != 1:
                problem(name(thing), f"selects {len(found)} services instead of one")
            for endpoint in spec["endpoints"]:
                if found and endpoint["port"] not in {port["name"] for port in found[0]["spec"]["ports"]}:
                    problem(name(thing), f"the service has no port {endpoint['port']}")


def sharing(things, deployment):
    replicas = deployment["spec"]["replicas"]
    modes = [mode for t in things if t["kind"] == "PersistentVolumeClaim" for mode in t["spec"]["accessModes"]]
    if modes and "ReadWriteMany" not in modes:
        if replicas > 1:
            problem(name(deployment), f"{replicas} replicas share a volume of {modes}")
        if deployment["spec"]["strategy"]["type"] != "Recreate":
            problem(name(deployment), "the next pod would wait for a volume that the last one has")
        if "rollingUpdate" in deployment["spec"]["strategy"]:
            problem(name(deployment), "rollingUpdate is of no use with Recreate")


def deliver(things, deployment, options):
    spec = deployment["spec"]["template"]["spec"]
    container = spec["containers"][0]
    mounted = [v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v]
    [configuration] = [t["data"]["config.yml"] for t in things if name(t) == f"ConfigMap/{mounted[0]}"]
    with open(options.config, "w", encoding="utf-8") as out:
        out.write(configuration)
    parsed = yaml.safe_load(configuration)
    variables = {variable["name"] for variable in container.get("env", [])}
    bucket = {"s3", "gcs", "azure"} & set(parsed["storage"])
    if bucket and parsed["storage"].get("replicas", 1) != deployment["spec"]["replicas"]:
        problem(name(deployment), "storage.replicas is not the number of replicas")
    if bucket and any("persistentVolumeClaim" in volume for volume in spec["volumes"]):
        problem(name(deployment), "a volume for a store that is in a bucket")
    if deployment["spec"]["replicas"] > 1 and bucket and "REGISTRY_HTTP_SECRET_FILE" not in variables:
        problem(name(deployment), "its replicas have no http.secret in common")
    sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = seconds(parsed["http"]["draintimeout"])
    if not drain or sleep + drain > spec["terminationGracePeriodSeconds"]:
        problem(name(deployment), f"{sleep} s of sleep and {drain} s of draining do not fit into the grace period")
    if container["args"] != ["serve", "/etc/registry/config.yml"]:
        problem(name(deployment), f"arguments {container['args']}")
    probes = [container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")]
    with open(options.env, "w", encoding="utf-8") as out:
        for variable in container.get("env", []):
            out.write(f"env {variable['name']}={variable['value']}\n")
        for path in probes:
            out.write(f"probe {path}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    for output in ("--config", "--env", "--custom"):
        parser.add_argument(output, required=True)
    parser.add_argument("--external", nargs="*", default=[])
    options = parser.parse_args()
    with open(options.file, encoding="utf-8") as file:
        things = [thing for thing in yaml.safe_load_all(file) if thing]
    custom = [t for t in things if (t["apiVersion"], t["kind"]) in CUSTOM]
    with open(options.custom, "w", encoding="utf-8") as out:
        for thing in custom:
            out.write(json.dumps(thing) + "\n")
    for thing in things:
        if thing not in custom:
            schemas(thing)
        if thing["kind"] == "Pod":
            restricted(name(thing), thing["spec"])
    [deployment] = [thing for thing in things if thing["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    restricted(name(deployment), spec)
    references(name(deployment), spec, things, set(options.external))
    wiring(things, deployment)
    sharing(things, deployment)
    deliver(things, deployment, options)
    for line in problems:
        print(line)
    print(f"{options.file}: {len(things)} objects, {len(custom)} of them custom, Kubernetes {' and '.join(versions())}")
    sys.exit(1 if problems else 0)


main()
