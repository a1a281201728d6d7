"""What Azure accepts of the generated files, as models: templates, rules, and the items of a workbook.

By Microsoft's public schemas of deployment templates, scheduledQueryRules 2023-12-01, workbooks 2023-06-01 and of the
items of workbooks; stricter where the generator uses less. Unknown keys are errors.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1)]
Minutes = Literal["PT5M", "PT10M", "PT15M", "PT30M", "PT45M", "PT1H", "PT2H", "PT3H", "PT4H", "PT5H", "PT6H", "P1D"]
Windows = Literal[Minutes, "P2D"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


# --- Scheduled query rules --------------------------------------------------------------------------------------------


class Dimension(Strict):
    name: Text
    operator: Literal["Include", "Exclude"]
    values: list[Text] = Field(min_length=1)


class FailingPeriods(Strict):
    numberOfEvaluationPeriods: int = Field(ge=1, le=6)
    minFailingPeriodsToAlert: int = Field(ge=1, le=6)


class Condition(Strict):
    query: Text
    timeAggregation: Literal["Count"]
    operator: Literal["Equals", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual"]
    threshold: int
    dimensions: list[Dimension] = Field(max_length=6)
    failingPeriods: FailingPeriods


class Criteria(Strict):
    allOf: list[Condition] = Field(min_length=1, max_length=1)


class Actions(Strict):
    actionGroups: list[Text] | Literal["[parameters('actionGroupIds')]"]


class RuleProperties(Strict):
    displayName: Text
    description: Text
    severity: int = Field(ge=0, le=4)
    evaluationFrequency: Minutes
    windowSize: Windows
    autoMitigate: bool
    checkWorkspaceAlertsStorageConfigured: bool
    skipQueryValidation: bool
    enabled: bool | Literal["[parameters('enabled')]"]
    scopes: list[Text] = Field(min_length=1, max_length=1)
    actions: Actions
    criteria: Criteria


class Rule(Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[^*<>%{}&:\\?/#\x00-\x1f]{1,259}[^*<>%{}&:\\?/# .\x00-\x1f]$")]
    type: Literal["Microsoft.Insights/scheduledQueryRules"] = "Microsoft.Insights/scheduledQueryRules"
    apiVersion: Literal["2023-12-01"] = "2023-12-01"
    location: Text | None = None
    kind: Literal["LogAlert"]
    tags: dict[Annotated[str, StringConstraints(max_length=512)], Annotated[str, StringConstraints(max_length=256)]]
    properties: RuleProperties


# --- Workbooks --------------------------------------------------------------------------------------------------------


class Visibility(Strict):
    parameterName: Text
    comparison: Literal["isEqualTo"]
    value: Text


class TextContent(Strict):
    content_json: str = Field(alias="json")


class TextItem(Strict):
    type: Literal[1]
    name: Text
    content: TextContent


class QueryContent(Strict):
    version: Literal["KqlItem/1.0"]
    query: Text
    size: Literal[0, 1, 2, 3, 4]
    title: str
    noDataMessage: Text
    noDataMessageStyle: int | None = None
    timeContextFromParameter: Literal["TimeRange"]
    queryType: Literal[0]
    resourceType: Literal["microsoft.insights/components"]
    visualization: Literal["table", "timechart", "tiles"]
    gridSettings: dict[str, Any] | None = None
    chartSettings: dict[str, Any] | None = None
    tileSettings: dict[str, Any] | None = None


class QueryItem(Strict):
    type: Literal[3]
    name: Text
    content: QueryContent
    customWidth: Annotated[str, StringConstraints(pattern=r"^\d{1,3}$")] | None = None


class Parameter(Strict):
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    version: Literal["KqlParameterItem/1.0"]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]\w*$")]
    label: Text
    type: Literal[1, 2, 4]
    isRequired: bool
    value: str | list[str] | dict[str, int] | None = None
    query: str | None = None
    jsonData: str | None = None
    queryType: Literal[0] | None = None
    resourceType: str | None = None
    multiSelect: bool | None = None
    quote: str | None = None
    delimiter: str | None = None
    isHiddenWhenLocked: bool | None = None
    timeContextFromParameter: str | None = None
    typeSettings: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_choices(self) -> Parameter:
        if self.type == 2 and (self.query is None) == (self.jsonData is None):
            raise ValueError("a drop-down has a query or choices")
        choices = (self.jsonData or "[]").replace("[[", "[", 1)  # as a template escapes it
        if not all({"value", "label"} <= each.keys() for each in json.loads(choices)):
            raise ValueError("a choice has a value and a label")
        return self


class ParameterContent(Strict):
    version: Literal["KqlParameterItem/1.0"]
    parameters: list[Parameter] = Field(min_length=1)
    style: Literal["pills"]
    queryType: Literal[0]
    resourceType: Literal["microsoft.insights/components"]


class ParameterItem(Strict):
    type: Literal[9]
    name: Text
    content: ParameterContent


class Link(Strict):
    id: Text
    cellValue: Text
    linkTarget: Literal["parameter"]
    linkLabel: Text
    subTarget: Text
    style: Literal["link"]


class LinkContent(Strict):
    version: Literal["LinkItem/1.0"]
    style: Literal["tabs"]
    links: list[Link] = Field(min_length=1)


class LinkItem(Strict):
    type: Literal[11]
    name: Text
    content: LinkContent


class GroupContent(Strict):
    version: Literal["NotebookGroup/1.0"]
    groupType: Literal["editable"]
    items: list[TextItem | QueryItem] = Field(min_length=1)


class GroupItem(Strict):
    type: Literal[12]
    name: Text
    conditionalVisibility: Visibility
    content: GroupContent


Item = Annotated[TextItem | QueryItem | ParameterItem | LinkItem | GroupItem, Field(discriminator="type")]


class WorkbookContent(Strict):
    version: Literal["Notebook/1.0"]
    items: list[Item] = Field(min_length=1)
    isLocked: bool
    fallbackResourceIds: list[Text] = Field(min_length=1, max_length=1)


class WorkbookProperties(Strict):
    displayName: Text
    description: Text
    category: Literal["workbook"]
    version: Literal["Notebook/1.0"]
    sourceId: Text
    serializedData: WorkbookContent | Literal["[string(variables('content'))]"]


class WorkbookResource(Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    type: Literal["Microsoft.Insights/workbooks"] = "Microsoft.Insights/workbooks"
    apiVersion: Literal["2023-06-01"] = "2023-06-01"
    location: Text | None = None
    kind: Literal["shared"]
    tags: dict[str, Annotated[str, StringConstraints(max_length=256)]]
    properties: WorkbookProperties


class PlaceOfResources(Strict):
    environmentVariable: Literal["AZURE_APPLICATION_INSIGHTS_ID", "AZURE_ACTION_GROUP_IDS"]


# --- Templates --------------------------------------------------------------------------------------------------------


class TemplateParameter(Strict):
    type: Literal["string", "array", "bool"]
    defaultValue: Any = None
    metadata: dict[Literal["description"], Text]


class Output(Strict):
    type: Literal["array"]
    value: list[Text]


class Template(Strict):
    schema_address: Literal["https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"] = Field(
        alias="$schema"
    )
    contentVersion: Literal["1.0.0.0"]
    metadata: dict[Literal["description"], Text]
    parameters: dict[str, TemplateParameter]
    variables: dict[Literal["content"], WorkbookContent]
    resources: list[Annotated[Rule | WorkbookResource, Field(discriminator="type")]] = Field(
        min_length=1, max_length=800
    )
    outputs: dict[Literal["resourceIds"], Output]
