"""Deliberate faults in the template, such as a maintainer could make. Each must fail the rehearsal with a message that names the place."""

import re
from dataclasses import dataclass

from processes import ROOT
from report import Failure, say


@dataclass
class Fault:
    """A change of the template's text, and the words that the message about it must have."""

    what: str
    edits: tuple
    words: tuple

    def apply(self, template):
        """The template with the fault."""
        for edit in self.edits:
            template = edit(template)
        return template


def replace(old, new):
    """An edit of every place that has the text `old`."""
    def edit(template):
        if old not in template:
            raise Failure(f"faults.py: template.yaml no longer has {old!r}")
        return template.replace(old, new)

    return edit


def in_row(row, old, new):
    """An edit of one row of the table Functions."""
    def edit(template):
        match = re.search(rf"^    {row}:\s*{{.*?}}$", template, re.MULTILINE | re.DOTALL)
        if not match or old not in match[0]:
            raise Failure(f"faults.py: row {row} of template.yaml no longer has {old!r}")
        return template[: match.start()] + match[0].replace(old, new) + template[match.end():]

    return edit


FAULTS = (
    Fault("an action is missing: CreateCase lacks UpdateItem",
          (in_row("CreateCase", "dynamodb:UpdateItem, ", ""),),
          ("createCase", "row CreateCase", "dynamodb:UpdateItem")),
    Fault("an action of a transaction is missing: DeleteCase lacks DeleteItem",
          (in_row("DeleteCase", "dynamodb:DeleteItem, ", ""),),
          ("deleteCase", "row DeleteCase", "dynamodb:DeleteItem")),
    Fault("an excess action: GetCase may DeleteItem",
          (in_row("GetCase", "Actions: [", "Actions: [dynamodb:DeleteItem, "),),
          ("row GetCase", "dynamodb:DeleteItem")),
    Fault("the wrong index: CaseStats may query by_id",
          (in_row("CaseStats", "Index: by_due", "Index: by_id"),),
          ("caseStats", "row CaseStats", "dynamodb:Query", "index/by_due")),
    Fault("the gateway may call no function: its role names another alias",
          (replace("function:lhcms-${Stage}-*:live", "function:lhcms-${Stage}-*:current"),),
          ("listCases", "lhcms-dev-list-cases:live", "GatewayRole")),
    Fault("a parameter does not reach the functions: no version is replaced",
          (replace("          VersionDescription: !Ref Release\n", ""),),
          ("ListCasesFunction", "VersionDescription")),
    Fault("a key of the secret is misspelt",
          (replace("SecretString:CURSOR_SECRET_KEY", "SecretString:CURSOR_SECRET"),),
          ("CURSOR_SECRET", "Function")),
    Fault("two folders are swapped: UpdateCase and UpdateCaseStatus",
          (in_row("UpdateCase", "Folder: update-case", "Folder: update-case-status"),
           in_row("UpdateCaseStatus", "Folder: update-case-status", "Folder: update-case")),
          ("UpdateCaseFunction", "functions/update-case-status", "row UpdateCase ")),
    Fault("a function is missing: no loop lists GetDoctor",
          (replace("      - GetDoctor\n", ""),),
          ("GET /api/v1/cases/doctor-info/{doctor_id}", "getDoctor", "GetDoctorFunction")),
    Fault("another table: TABLE_NAME is not the table's name",
          (replace("TABLE_NAME: !If [OwnTable, !Ref Table, !Ref ExistingTableName]", "TABLE_NAME: !Sub lhcms-${Stage}-cases"),),
          ("row Health", "table/lhcms-dev-cases")),
    Fault("the environment's key: no right to kms:Decrypt",
          (replace("                  - {Effect: Allow, Action: kms:Decrypt, Resource: !GetAtt EnvironmentKey.Arn}\n", ""),),
          ("kms:Decrypt", "CreateCaseFunctionRole", "the loop in Resources that lists ListCases")),
    Fault("a secret is missing: SearchCases gets no key for cursors",
          (in_row("SearchCases", "Cursors: 1", "Cursors: 0"),),
          ("searchCases", "CURSOR_SECRET_KEY: is required")),
    Fault("a required variable is misspelt",
          (replace("CURSOR_SECRET_KEY: !Select", "CURSOR_SECRET: !Select"),),
          ("row ListCases", "CURSOR_SECRET_KEY")),
    Fault("the expiry attribute is misspelt",
          (replace("AttributeName: expires_at", "AttributeName: expire_at"),),
          ("TimeToLiveSpecification", "expire_at")),
    Fault("a function may write to every log group",
          (replace("Resource: {'Fn::GetAtt': [!Sub '${Name}LogGroup', Arn]}", "Resource: '*'"),),
          ("CreateCaseFunctionRole", "logs:PutLogEvents", "/aws/apigateway/lhcms-dev")),
    Fault("the dashboard is not JSON",
          (replace('"Errors by code", "region"', '"Errors by code" "region"'),),
          ("Dashboard",)),
    Fault("a time-out is longer than the gateway waits: ExportCases",
          (in_row("ExportCases", "Timeout: 10", "Timeout: 60"),),
          ("exportCases", "column Timeout", "row ExportCases", "60 s")),
)


def run(rehearsal):
    """Rehearses the template with each fault, and prints what each was found by."""
    template = (ROOT / "template.yaml").read_text()
    found, missed = [], []
    for number, fault in enumerate(FAULTS, 1):
        say(f"fault {number} of {len(FAULTS)}: {fault.what}")
        changed = fault.apply(template)
        rehearsal.emulator.reset()
        try:
            rehearsal.run(changed)
        except Failure as failure:
            message = str(failure)
            absent = [word for word in fault.words if word not in message]
            found.append((fault.what, message))
            if absent:
                missed.append(f"{fault.what}: the message does not name {', '.join(absent)}")
        else:
            missed.append(f"{fault.what}: the rehearsal passed")
    print()
    for what, message in found:
        print(f"{what}\n    " + message.replace("\n", "\n    ") + "\n")
    if missed:
        raise Failure("\n".join(missed))
    say(f"all {len(FAULTS)} faults were found, and their places named")
