"""A contract for import-linter: inside a service, imports point inward."""

from importlinter import Contract, ContractCheck, fields, output

# From the inside out. A module's layer is that of its first part below the service; what is not
# named here, such as ``apply_events`` or ``providers``, is a use case.
_LAYERS = {
    "domain": 0,
    "log_events": 0,
    "adapters": 2,
    "settings": 2,
    "migrations": 3,
    "wiring": 3,
    "__main__": 4,
}
_USE_CASE = 1


class InwardContract(Contract):
    """Each module imports only from its own layer or from layers further in.

    Checked for every module there is, so that a new use case is bound by it without being listed.
    """

    services = fields.ListField(subfield=fields.ModuleField())

    def check(self, graph, verbose):
        """Look at every import within each of the services."""
        found = [
            (importer, imported)
            for service in self.services
            for importer in sorted(graph.find_descendants(service.name))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if _layer(importer, service.name) < _layer(imported, service.name)
        ]
        return ContractCheck(kept=not found, metadata={"outward": found})

    def render_broken_contract(self, check):
        """Name each import that points outward."""
        for importer, imported in check.metadata["outward"]:
            output.print_error(f"{importer} imports {imported}, which is further out.")


def _layer(module, service):
    """Return how far out a module is; everything outside of the service is innermost."""
    if not module.startswith(f"{service}."):
        return 0
    return _LAYERS.get(module.removeprefix(f"{service}.").split(".")[0], _USE_CASE)
