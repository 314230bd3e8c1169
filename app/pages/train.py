from dash import html


def layout(library):
    return html.Div("Train")


def register(app, library, guard):
    pass
