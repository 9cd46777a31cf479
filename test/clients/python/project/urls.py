"""The pages of the site, besides those of the guide."""

from pathlib import Path

from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template import RequestContext, Template
from django.urls import path

guide = {}
exec(Path("urls.py").read_text(), guide)


def home(request):
    """Shows who is signed in, and the template of the guide."""
    name, text = "signed-out.html", "nobody is signed in"
    if request.user.is_authenticated:
        name, text = "signed-in.html", "hello {{ user.username }}, {{ user.first_name }} {{ user.last_name }}, {{ user.email }}"
    if Path(name).exists():
        text += Path(name).read_text()
    return HttpResponse(Template(text).render(RequestContext(request, {"user": request.user})))


def refresh(request):
    """Refreshes the tokens of Python Social Auth and shows the new access token."""
    from social_django.utils import load_strategy

    association = request.user.social_auth.get(provider="oidc")
    association.refresh_token(load_strategy(request))
    return HttpResponse(association.extra_data["access_token"])


def sign_out(request):
    logout(request)
    return redirect("/")


urlpatterns = guide["urlpatterns"] + [
    path("", home),
    path("refresh", refresh),
    path("sign-out", sign_out),
]
